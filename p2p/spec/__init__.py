"""What may be asked for: one frozen value that is the library's argument, the HTTP body's core and the job's record.

Imports nothing heavy: the service validates requests with it on machines without torch. A spec checks itself when
it is made; each complaint's `type` is a stable code and its `loc` points at the field.

Words are named as they are written (`p2p.words`), and by `occurrence` where a prompt repeats them; never by token.
A spec is checked without the model's tokenizer: `p2p.tokens` says where a name cuts a token in two.
Steps are named by shares of the run (0 is pure noise, 1 the finished picture) or counted.
"""

from p2p.part import Part as Part
from p2p.spec.artifacts import MAX_PREVIEWS as MAX_PREVIEWS
from p2p.spec.artifacts import Artifacts as Artifacts
from p2p.spec.artifacts import PictureFormat as PictureFormat
from p2p.spec.blend import Box as Box
from p2p.spec.blend import LocalBlend as LocalBlend
from p2p.spec.complaints import MAX_COMPLAINTS as MAX_COMPLAINTS
from p2p.spec.complaints import MAX_NAMES as MAX_NAMES
from p2p.spec.complaints import RECORDED as RECORDED
from p2p.spec.complaints import counted as counted
from p2p.spec.edit_spec import EditSpec as EditSpec
from p2p.spec.edit_spec import Source as Source
from p2p.spec.edits import KINDS as KINDS
from p2p.spec.edits import AligningKind as AligningKind
from p2p.spec.edits import Edit as Edit
from p2p.spec.edits import Refine as Refine
from p2p.spec.edits import Replace as Replace
from p2p.spec.edits import Reweight as Reweight
from p2p.spec.edits import WeighedBy as WeighedBy
from p2p.spec.edits import aligning_edit as aligning_edit
from p2p.spec.edits import any_of as any_of
from p2p.spec.inversions import METHODS as METHODS
from p2p.spec.inversions import Direct as Direct
from p2p.spec.inversions import Inversion as Inversion
from p2p.spec.inversions import InversionMethod as InversionMethod
from p2p.spec.inversions import Straight as Straight
from p2p.spec.loras import MOST_LORA_WEIGHT as MOST_LORA_WEIGHT
from p2p.spec.loras import LoraUse as LoraUse
from p2p.spec.loras import LoraUses as LoraUses
from p2p.spec.names import MAX_PROMPT_CHARACTERS as MAX_PROMPT_CHARACTERS
from p2p.spec.names import MAX_WEIGHT as MAX_WEIGHT
from p2p.spec.names import MODEL_FIELD as MODEL_FIELD
from p2p.spec.names import ModelName as ModelName
from p2p.spec.names import Prompt as Prompt
from p2p.spec.names import WordName as WordName
from p2p.spec.names import WordWeight as WordWeight
from p2p.spec.names import WordWindow as WordWindow
from p2p.spec.pictures import MaskImage as MaskImage
from p2p.spec.pictures import ReadBy as ReadBy
from p2p.spec.pictures import SourceImage as SourceImage
from p2p.spec.published import Reference as Reference
from p2p.spec.room import Room as Room
from p2p.spec.sampling import DRAW as DRAW
from p2p.spec.sampling import MAX_SEED as MAX_SEED
from p2p.spec.sampling import Sampling as Sampling
from p2p.spec.sampling import SchedulerName as SchedulerName
from p2p.spec.sampling import Seed as Seed
from p2p.spec.sampling import TokenOrder as TokenOrder
from p2p.spec.states import State as State
from p2p.spec.states import unmet_by as unmet_by
from p2p.spec.target import Keep as Keep
from p2p.spec.target import Target as Target
from p2p.spec.windows import StepWindow as StepWindow
