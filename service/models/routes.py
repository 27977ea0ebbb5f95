"""What edits can be asked of."""

from fastapi import APIRouter

from service.http.dependencies import PlaneOfApp
from service.models.bodies import ModelList, ModelView

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(plane: PlaneOfApp) -> ModelList:
    """The models of this installation: their sizes, limits and defaults."""
    return ModelList(
        models=tuple(
            ModelView.of(model, plane.counters[model.id].limit, plane.substitutions.get(model.id))
            for model in plane.catalogue.values()
        )
    )
