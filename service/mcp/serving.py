"""The SDK's server, with this service's tools. Imported where `MCP` is set alone."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, cast

from fastapi import Request
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.types import ASGIApp

from p2p.version import VERSION
from service.http.dependencies import caller_of_request
from service.http.errors import problem_of
from service.http.scopes import refuse_beyond
from service.mcp.asking import Asking
from service.mcp.tools import TOOLS, EditTool

log = logging.getLogger(__name__)

#: Characters of a tool's name that are said back.
MOST_OF_NAME = 64
#: What an agent reads about all of it.
INSTRUCTIONS = """Edits pictures by editing their prompts (prompt-to-prompt). A picture is made from a source prompt, \
and each further prompt says what it shows instead; what the prompts share stays as it is. Set prompts against each \
other with align_prompts first: it costs nothing. edit_image waits for at most a minute; an edit that has not ended by \
then goes on, and get_edit tells how it stands."""


@asynccontextmanager
async def answering(most_bytes: int) -> AsyncIterator[ASGIApp]:
    """Answers requests whose key and body were looked at; of `most_bytes` at most."""
    listed = ListToolsResult(tools=[described(name, tool) for name, tool in TOOLS.items()])

    async def tools(_: ServerRequestContext[Any, Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    server: Server[Any] = Server(
        "p2p-edit", version=VERSION, instructions=INSTRUCTIONS, on_list_tools=tools, on_call_tool=_call
    )
    # Its spans, and its lines for each request: this service has its own (`process.trace`, `layers.access`).
    server.middleware.clear()
    logging.getLogger("mcp").setLevel(logging.WARNING)
    manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=most_bytes)
    async with manager.run():
        yield manager.asgi_app


async def _call(context: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
    """What a tool answers. What it refuses is an answer as well, for the agent to read: a problem document."""
    tool = TOOLS.get(params.name)
    if tool is None:
        # As the protocol has it; every other refusal is an answer of the tool.
        raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:MOST_OF_NAME]!r}: choose of {', '.join(TOOLS)}")
    try:
        request = cast(Request, context.request)
        caller = await caller_of_request(request)
        refuse_beyond(caller.scopes, tool.scopes)
        plane = request.app.state.plane.for_models(caller.models)
        asking = Asking(plane=plane, caller=caller, progress=context.session.report_progress)
        # Few values, and short: of an edit's `options` nothing is read here.
        return await tool.does(tool.reader.read(params.arguments or {}, 0), asking)
    except Exception as error:
        response, code = problem_of(error)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("tool %s: %s", params.name, code, exc_info=error)
        return _refusal(json.loads(bytes(response.body)))


def _refusal(problem: dict[str, Any]) -> CallToolResult:
    # Many programs show a model the text alone.
    said = [f"{problem['code']}: {problem['detail']}"]
    said += [f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", ())[1:]]
    return CallToolResult(content=[TextContent(text="\n".join(said))], structured_content=problem, is_error=True)


def described(name: str, tool: EditTool) -> Tool:
    """A tool as agents find it in the list."""
    hints = ToolAnnotations(
        read_only_hint=tool.only_looks,
        destructive_hint=False,
        idempotent_hint=tool.only_looks,
        open_world_hint=False,
    )
    return Tool(
        name=name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes.model_json_schema(),
        annotations=hints,
    )
