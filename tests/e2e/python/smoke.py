"""What the Python SDK does, against the server at ADDRESS with the model at MODEL; every step that holds prints a line."""

import asyncio
import os

from copilot import CopilotClient, RuntimeConnection
from copilot.session import PermissionHandler
from copilot.tools import Tool, ToolInvocation, ToolResult

PROVIDER = {"type": "openai", "base_url": os.environ["MODEL"]}
PATIENCE = 30.0


def config(**extra):
    return {
        "model": "demo",
        "provider": PROVIDER,
        "on_permission_request": PermissionHandler.approve_all,
        **extra,
    }


async def ask(session, prompt):
    answer = await session.send_and_wait(prompt, timeout=PATIENCE)
    return answer.data.content


def expect(step, actual, expected):
    if actual != expected:
        raise AssertionError(f"{step}: {actual!r} instead of {expected!r}")
    print(f"ok {step}", flush=True)


def add(invocation: ToolInvocation) -> ToolResult:
    arguments = invocation.arguments
    return ToolResult(text_result_for_llm=str(arguments["a"] + arguments["b"]), result_type="success")


ADD = Tool(
    name="add",
    description="Adds two numbers",
    parameters={"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    handler=add,
)


async def converse(client):
    session = await client.create_session(**config(streaming=True, tools=[ADD]))
    deltas = []
    session.on(lambda event: deltas.append(event.data.delta_content) if event.type.value == "assistant.message_delta" else None)
    expect("create and send", await ask(session, "hello there"), "You said: hello there")
    expect("stream", "".join(deltas), "You said: hello there")
    expect("tool", await ask(session, '[[tool:add {"a":19,"b":23}]]'), "add returned: 42")
    await session.disconnect()
    again = await client.resume_session(session.session_id, **config())
    expect("resume", await ask(again, "[[history]] more"), "3 user messages: hello there |  | more")
    listed = [found.session_id for found in await client.list_sessions()]
    expect("list", listed.count(session.session_id), 1)
    await again.disconnect()
    await client.delete_session(session.session_id)
    listed = [found.session_id for found in await client.list_sessions()]
    expect("delete", listed.count(session.session_id), 0)


async def main():
    client = CopilotClient(connection=RuntimeConnection.for_uri(os.environ["ADDRESS"]))
    await client.start()
    try:
        expect("ping", (await client.ping("hello")).message, "pong: hello")
        await converse(client)
    finally:
        await client.stop()


asyncio.run(main())
