"""Makes an Ansible collection of this project's sources. `make collection` builds it, `make release` checks it."""
