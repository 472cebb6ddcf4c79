/** Requests to our own routes. */

/** An answer that says no: its text, and the wrong fields if it names any. */
export class Refused extends Error {
  /** @param {string} detail @param {{field: string, label: string, value: string, allowed: string}[]} problems */
  constructor(detail, problems = []) {
    super(detail);
    this.problems = problems;
  }
}

/** @param {string} path */
export const get = (path) => ask(path, { method: "GET" });

/** @param {string} path @param {unknown} [body] */
export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

/** Send a file's bytes as they are. @param {string} path @param {Blob} file */
export const postFile = (path, file) =>
  ask(path, { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });

/** @param {string} path @param {RequestInit} options @returns {Promise<any>} */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { accept: "application/json", ...options.headers } });
  } catch {
    throw new Refused("The server cannot be reached.");
  }
  if (response.status === 401) location.reload();
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const detail = typeof answer.detail === "string" ? answer.detail : `The server answered ${response.status}.`;
  throw new Refused(detail, answer.problems ?? []);
}
