// <DialproofVerify> for Vue: the web component with its events emitted.
import { defineComponent, h } from "vue";
import "./dialproof-verify.js";

export const DialproofVerify = defineComponent({
  name: "DialproofVerify",
  props: { src: { type: String, required: true }, label: String },
  emits: ["verified", "failed", "canceled"],
  setup: (props, { emit }) => () => h("dialproof-verify", {
    src: props.src,
    label: props.label,
    onVerified: (event) => emit("verified", event.detail),
    onFailed: (event) => emit("failed", event.detail),
    onCanceled: (event) => emit("canceled", event.detail),
  }),
});
