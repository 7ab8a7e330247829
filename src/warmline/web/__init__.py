"""The pages: the chat, and what lies beside it."""
