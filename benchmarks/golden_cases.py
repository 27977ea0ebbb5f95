"""Cases of golden folders as public specs, and how far what is made of them is from what is wanted."""

import torch

from p2p.spec import EditSpec


def window(value: float | list[float]) -> dict:
    """A number f is the window from 0 to f."""
    start, stop = value if isinstance(value, list) else (0.0, value)
    return {"start": start, "stop": stop}


def blend(case: dict, target: int) -> dict:
    """The case's local blend for a target; the case lists words per prompt, the source's first."""

    def names(field: str, prompt: int) -> list[dict]:
        words = case["local_blend"].get(field, [[]] * len(case["prompts"]))[prompt]
        return [{"word": word} for word in ([words] if isinstance(words, str) else words)]

    threshold, subtract_threshold = case["local_blend"]["threshold"]
    return {
        "words": names("words", target),
        "source_words": names("words", 0),
        "subtract_words": names("subtract_words", target),
        "source_subtract_words": names("subtract_words", 0),
        "start": case["local_blend"]["start_blend"],
        "threshold": threshold,
        "subtract_threshold": subtract_threshold,
    }


def spec_of(case: dict, steps: int, guidance_scale: float) -> EditSpec:
    """A golden case as a public spec."""
    cross = case["cross_replace_steps"]
    windows = cross if isinstance(cross, dict) else {"default_": cross}
    edits = [] if case["kind"] == "reweight" else [{"kind": case["kind"]}]
    if "equalizer" in case:
        weights = [{"word": word, "weight": weight} for word, weight in case["equalizer"].items()]
        edits.append({"kind": "reweight", "weights": weights})
    targets = [
        {
            "prompt": prompt,
            "edits": edits,
            "cross_window": window(windows["default_"]),
            "word_windows": [
                {"word": word, "window": window(value)}
                for word, value in windows.items()
                if word != "default_" and word in prompt.split()
            ],
            "self_window": window(case["self_replace_steps"]),
            "local_blend": blend(case, index) if "local_blend" in case else None,
        }
        for index, prompt in enumerate(case["prompts"][1:], 1)
    ]
    return EditSpec.model_validate(
        {
            "source": {"prompt": case["prompts"][0]},
            "targets": targets,
            "sampling": {"steps": steps, "guidance_scale": guidance_scale},
            "artifacts": {"heatmaps": False, "raw_maps": False},
            "compat": "reference",
        }
    )


def relative_l2(actual: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((actual - wanted).norm() / wanted.norm()).item()
