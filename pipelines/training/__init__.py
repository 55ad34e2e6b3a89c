"""How trainings are led: phases, transfer learning, what is kept and told."""
