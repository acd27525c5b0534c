"""What the Ansible modules share: one run, one look, one result."""
