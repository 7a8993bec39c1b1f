import type { DefineComponent } from "vue";
import type { Canceled, Failed, Verified } from "./dialproof-verify.js";

export const DialproofVerify: DefineComponent<
  { src: string; label?: string },
  {}, {}, {}, {}, {}, {},
  { verified: (detail: Verified) => void; failed: (detail: Failed) => void; canceled: (detail: Canceled) => void }
>;
