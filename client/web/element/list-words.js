// What the list itself says, in one place.

import { count } from "./text.js";

export const words = {
  /** What stands above the oldest message that is loaded. */
  top: ({ messages, hasMore }) => (messages.length === 0 ? "" : hasMore ? "Scroll up for older messages" : "This is where the room begins."),
  loading: () => "Loading older messages…",
  notLoaded: (why) => `Older messages could not be loaded. ${why}`,
  /** In the list, where messages came faster than a reader who stays further up can be shown later. */
  gap: (number) => `${count(number, "message")} not shown here`,
  /** Read out once. */
  hot: () => "Messages come too fast to be read out. Arrow keys move through them.",
};
