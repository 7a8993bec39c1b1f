// <DialproofVerify> for React: the web component with its events as properties.
import { createElement, useEffect, useRef } from "react";
import "./dialproof-verify.js";

export function DialproofVerify({ onVerified, onFailed, onCanceled, ...rest }) {
  const element = useRef(null), heard = useRef({});
  heard.current = { verified: onVerified, failed: onFailed, canceled: onCanceled };
  useEffect(() => {
    const at = element.current, hear = (event) => heard.current[event.type]?.(event.detail);
    for (const type of ["verified", "failed", "canceled"]) at.addEventListener(type, hear);
    return () => { for (const type of ["verified", "failed", "canceled"]) at.removeEventListener(type, hear); };
  }, []);
  return createElement("dialproof-verify", { ...rest, ref: element });
}
