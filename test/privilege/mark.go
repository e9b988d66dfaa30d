package privilege

// Mark is a right that allows nothing: admission rules know the operator's account by it. Nobody asks for it but these rules, and of
// them the audit log tells nothing.
var Mark = Permission{Group: "identity.netbaseline.dev", Resource: "operators", Verb: "be"}
