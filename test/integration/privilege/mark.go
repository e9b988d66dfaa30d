package privilege

// Mark is a right that allows nothing: admission rules recognize the operator's account by it. Only
// these rules check it, and their checks are not in the audit log.
var Mark = Permission{Group: "identity.netbaseline.dev", Resource: "operators", Verb: "be"}
