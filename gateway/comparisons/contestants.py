"""The models that are compared: names of a tenant's own, pinned so that all prompts are answered by the same two."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import find_ready
from gateway.assistants.release import split_release
from gateway.assistants.service import find_assistant, find_release, list_current_stages
from gateway.errors import Conflict, NotFound

__all__ = ["pin_model"]


async def pin_model(session: AsyncSession, tenant: str, model: str, base_model: str, *, param: str) -> str:
    """Return a model's name; for an assistant that of its release with the largest share of the traffic now.

    Raises:
        NotFound: The tenant has nothing of that name.
        Conflict: The assistant has no rollout.
    """
    if model == base_model or await find_ready(session, tenant, model) is not None:
        return model
    name, number = split_release(model)
    assistant = await find_assistant(session, tenant, name)
    if assistant is None:
        raise NotFound(
            f"The model {model!r} does not exist or you do not have access to it. GET /v1/models lists what you can "
            "use.",
            param=param,
            code="model_not_found",
        )
    if number is None:
        stages = await list_current_stages(session, tenant, assistant.id)
        if not stages:
            raise Conflict(
                f"The assistant {name!r} has no rollout yet. Name a release of it ({name}@1).",
                param=param,
                code="no_rollout",
            )
        return f"{name}@{max(stages, key=lambda stage: stage.weight).release}"
    if await find_release(session, tenant, assistant.id, number) is None:
        raise NotFound(f"The release {model} does not exist.", param=param, code="model_not_found")
    return model
