"""What learns by gradient: the one resumable loop, its states, optimizers, and the ladder of transfer learning."""
