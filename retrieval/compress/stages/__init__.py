"""The two stages of a recipe: distil without pairs, finetune on pairs."""
