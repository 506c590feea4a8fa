// The mailbox: new mail shows up by itself, and all of it can be thrown away.
"use strict";

const mailbox = document.getElementById("mailbox");
const clear = document.getElementById("clear");
const count = document.getElementById("count");

async function look() {
  try {
    const state = await (await fetch("/dev/mailbox/state")).json();
    count.textContent = state.count ? `(${state.count})` : "";
    if (mailbox && (state.newest ?? "") !== mailbox.dataset.newest) location.reload();
  } catch {
    // The server is stopped or restarting; the next look tells.
  }
}

clear?.addEventListener("click", async () => {
  await fetch("/dev/mailbox/messages", { method: "DELETE" });
  location.reload();
});
look();
setInterval(look, 1500);
