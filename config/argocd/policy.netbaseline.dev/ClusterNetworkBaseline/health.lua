-- What Argo CD says about a ClusterNetworkBaseline: the same as kstatus, which Flux and `kubectl`-based tools ask.
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

-- Its policies are being removed. Nobody has to help, whatever else the status says.
if obj.metadata.deletionTimestamp ~= nil then
  return hs
end

-- The status speaks of an older spec, or of none yet.
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
