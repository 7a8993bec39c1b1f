import type { HTMLAttributes, ReactElement } from "react";
import type { Canceled, Failed, Verified } from "./dialproof-verify.js";

export interface DialproofVerifyProps extends HTMLAttributes<HTMLElement> {
  /** The `url` of a link that your server made with `embed`. */
  src: string;
  /** What the frame is called for screen readers. */
  label?: string;
  onVerified?: (detail: Verified) => void;
  onFailed?: (detail: Failed) => void;
  onCanceled?: (detail: Canceled) => void;
}

export function DialproofVerify(props: DialproofVerifyProps): ReactElement;
