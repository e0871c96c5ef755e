"""What sparsity and the contrastive term do to the codes of autoencoders."""
