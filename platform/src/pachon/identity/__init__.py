"""Who asks: the person, their groups and scopes, from a hub token, a hub cookie, or nobody in particular."""
