-- The health of a ClusterNetworkBaseline in Argo CD: the same as in kstatus, which Flux and `kubectl`-based tools use.
local hs = { status = "Progressing", message = "Waiting for the netbaseline operator" }

if obj.status == nil or obj.status.conditions == nil then
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
if conditions.Ready ~= nil then
  hs.message = conditions.Ready.message
end

-- Its policies are being removed; no action is needed, whatever else the status reports.
if obj.metadata.deletionTimestamp ~= nil then
  return hs
end

-- The status is of an older spec, or not written yet.
if obj.status.observedGeneration ~= obj.metadata.generation then
  if obj.status.observedGeneration ~= -1 then
    hs.message = "Waiting for the netbaseline operator to see the latest spec"
  end
  return hs
end

-- Only a human can help: a namespace refuses its policies, or the spec cannot be carried out.
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.message
  return hs
end

if conditions.Ready ~= nil and conditions.Ready.status == "True" then
  hs.status = "Healthy"
end
return hs
