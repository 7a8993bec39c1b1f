/** The number is verified. Your server checks the proof, and that the state is the session's. */
export interface Verified { proof: string; state: string }
/** It came to nothing: too many wrong codes, or too late. */
export interface Failed { reason: "failed" | "expired"; state: string }
/** The person gave up. */
export interface Canceled { state: string }

export class DialproofVerify extends HTMLElement {
  /** The `url` of a link that your server made with `embed`. */
  src: string;
  addEventListener(type: "verified", listener: (event: CustomEvent<Verified>) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: "failed", listener: (event: CustomEvent<Failed>) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: "canceled", listener: (event: CustomEvent<Canceled>) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap { "dialproof-verify": DialproofVerify }
}
