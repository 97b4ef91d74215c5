// Frames to lines and back: a server frame holds one or more JSON lines.

/**
 * Splits a server frame into its parsed lines. A line that is not a JSON object is
 * left out: a newer server may say things that this module does not know.
 */
export function parseFrame(text) {
  const lines = [];
  for (const raw of text.split("\n")) {
    if (raw === "") continue;
    try {
      const line = JSON.parse(raw);
      if (line !== null && typeof line === "object") lines.push(line);
    } catch {
      continue;
    }
  }
  return lines;
}

/** Lines that say something about the position in the log: `at`, and events with a `seq`. */
export const isPositional = (line) => line.at !== undefined || Number.isInteger(line.seq);

// The runtime answers exactly this text without waking the room.
export const PING = '{"event":"ping"}';
