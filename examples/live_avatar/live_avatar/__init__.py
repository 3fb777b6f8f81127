"""LiveAvatar: a portrait that speaks, made block by block as long as there is sound."""
