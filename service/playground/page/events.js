// Server-sent events over fetch: EventSource sends no Authorization.

/** The events of a response, each with `id`, `event` and `data`; ends when the stream does. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      left += value;
      const blocks = left.split(/\r?\n\r?\n/);
      left = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const fields = {};
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (!name) continue; // a comment: the server shows that it is there
    fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value ?? ""}` : (value ?? "");
  }
  return fields.data === undefined ? null : { id: fields.id ?? "", event: fields.event ?? "message", data: JSON.parse(fields.data) };
}
