"""What a playbook run needs on the controller."""
