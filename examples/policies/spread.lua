-- The node with most cores left is the best one.
return {
    live = true,
    node_centric = true,
    score = function(r) return r.type == "node" and r.below.core.free or 0 end,
}
