// The words of the contract under their own names. contract.gen.ts is made from api/openapi.yaml by `make generate`.
import type { components } from "./contract.gen.ts";

type Schemas = components["schemas"];

export type Start = Schemas["Start"];
export type CheckCode = Schemas["CheckCode"];
export type CheckByNumber = Schemas["CheckByNumber"];
export type NewLink = Schemas["NewLink"];
export type Link = Schemas["Link"];
export type Verification = Schemas["Verification"];
export type VerificationPage = Schemas["VerificationPage"];
export type Check = Schemas["Check"];
export type Delivery = Schemas["Delivery"];
export type DeliveryStatus = Schemas["DeliveryStatus"];
export type Status = Schemas["Status"];
export type Result = Schemas["Result"];
export type Channel = Schemas["Channel"];
export type Purpose = Schemas["Purpose"];
export type Proves = Schemas["Proves"];
export type ProofForm = Schemas["ProofForm"];
export type Next = Schemas["Next"];
export type Transaction = Schemas["Transaction"];
export type Autofill = Schemas["Autofill"];
export type Device = Schemas["Device"];
export type FieldError = Schemas["FieldError"];
export type Problem = Schemas["Problem"];
export type HandsetMessage = Schemas["HandsetMessage"];
/** The stable codes of refusals. A newer server may know more. */
export type ErrorCode = Schemas["ErrorCode"];
