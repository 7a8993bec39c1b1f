// For an application's tests: reads codes off the handset of `dialproof dev`, and starts `dialproof dev` where none
// runs, so that no test needs a phone. It is for Node and Deno.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { HandsetMessage } from "./types.ts";

/** The phone of a `dialproof dev`. */
export class Handset {
  readonly #base: string;
  /** number → the newest message that `code` has answered */
  readonly #read = new Map<string, string>();

  constructor(baseUrl: string) {
    this.#base = baseUrl.replace(/\/$/, "");
  }

  /** What a number got, newest first. The number is E.164. */
  async messages(to: string): Promise<HandsetMessage[]> {
    const response = await fetch(`${this.#base}/dev/messages?to=${encodeURIComponent(to)}`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`no handset at ${this.#base}: it answers ${response.status}; \`dialproof dev\` has one`);
    return (await response.json()) as HandsetMessage[];
  }

  /** The code in the newest message to a number. Each message is answered once: the next call waits for the next. */
  async code(to: string, options: { timeout?: number } = {}): Promise<string> {
    const end = Date.now() + (options.timeout ?? 10_000);
    for (;;) {
      const newest = (await this.messages(to))[0];
      if (newest && newest.at !== this.#read.get(to)) {
        this.#read.set(to, newest.at);
        const code = codeIn(newest.text);
        if (!code) throw new Error("the newest message holds no code");
        return code;
      }
      if (Date.now() > end) throw new Error(`no new message to ${to}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/**
 * The code in the text of a message or a call, or "". A code is 6 to 10 digits and capitals; in a call they are said one
 * by one. Of several candidates the first with a digit is taken.
 */
export function codeIn(text: string): string {
  const said = text.match(/\b[0-9A-Z](?:, [A-Z][a-z-]+)?(?:, [0-9A-Z]\b(?:, [A-Z][a-z-]+)?){5,9}/)?.[0];
  if (said) return said.replaceAll("X-ray", "").match(/\b[0-9A-Z]\b/g)?.join("") ?? "";
  const words = text.match(/\+?[\p{L}\p{N}]+(?:[.,]\p{N}+)*/gu) ?? [];
  const codes = words.filter((word) => /^[0-9A-Z]{6,10}$/.test(word));
  return codes.find((word) => /[0-9]/.test(word)) ?? codes[0] ?? "";
}

/** A `dialproof dev` of a test's own. */
export interface DevServer {
  url: string;
  key: string;
  handset: Handset;
  stop(): Promise<void>;
}

/**
 * Runs `dialproof dev` with an empty store on a free port until `stop`. The program is `binary`, the one that
 * DIALPROOF_BIN names, or the `dialproof` of PATH.
 */
export async function startDev(binary = process.env["DIALPROOF_BIN"] || "dialproof"): Promise<DevServer> {
  const data = await mkdtemp(join(tmpdir(), "dialproof-"));
  const child = spawn(binary, ["dev", "--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("dialproof dev does not start; DIALPROOF_BIN names the program", { cause })));
    child.once("exit", (code) => reject(new Error(`dialproof dev ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const address = /API .*(https?:\/\/[^/\s]+)/.exec(line)?.[1];
      if (address) resolve(address);
    });
  });
  const key = (await readFile(join(data, "dev.key"), "utf8")).trim();
  const stop = async () => {
    child.kill();
    await ended;
    await rm(data, { recursive: true, force: true });
  };
  return { url, key, handset: new Handset(url), stop };
}
