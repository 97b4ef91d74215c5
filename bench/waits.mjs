// What the deliveries of a paced room wait for, frame by frame, as the load generator saw it.
const SHARES = [0.5, 0.9, 0.99, 1];

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** The frames by which messages came: those that the first client read at one time came in one. */
function frames(messages) {
  const all = [];
  for (const { due, said, acknowledged, first, last } of messages) {
    const frame = all.at(-1);
    if (frame?.first === first) {
      frame.messages += 1;
      frame.last = Math.max(frame.last, last);
    } else all.push({ due, said, kept: acknowledged ?? said, first, last, messages: 1 });
  }
  return all;
}

/**
 * A table of each part of the wait of a frame's first message until the last client has it, ms, over all frames and in the
 * latest ones, and of how many messages came in a frame; the `warmUp`, s, is not in it.
 */
export function waits({ messages }, warmUp) {
  const all = frames(messages.filter(({ due, first }) => first !== null && due >= warmUp * 1e6));
  const parts = [
    ["the generator says it late", ({ due, said }) => said - due],
    ["until its sender knows it kept", ({ said, kept }) => kept - said],
    ["from then to the first client: the window", ({ kept, first }) => first - kept],
    ["from the first client to the last", ({ first, last }) => last - first],
    ["all of it", ({ due, last }) => last - due],
  ];
  const ms = (us) => (us / 1000).toFixed(1);
  const latest = all.toSorted((a, b) => b.last - b.due - (a.last - a.due)).slice(0, 5);
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const lines = parts.map(([what, part]) => {
    const sorted = all.map(part).sort((a, b) => a - b);
    return row([what, ...SHARES.map((share) => ms(at(sorted, share))), latest.map((frame) => ms(part(frame))).join(", ")]);
  });
  const sizes = all.map((frame) => frame.messages).sort((a, b) => a - b);
  lines.push(row(["messages in it", ...SHARES.map((share) => at(sizes, share)), latest.map((frame) => frame.messages).join(", ")]));
  const head = [`${all.length} frames, ms`, "half", "9 of 10", "99 of 100", "most", "of the 5 latest frames"];
  return [row(head), row(head.map(() => "---")), ...lines].join("\n");
}
