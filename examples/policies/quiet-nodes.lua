-- Quiet nodes are better; broken ones are left alone.
return {
    policy = "low",
    node_centric = true,
    score = function(r)
        if r.properties.broken then return false end
        return tonumber(r.properties.noise) or r.id
    end,
}
