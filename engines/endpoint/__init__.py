"""Models behind OpenAI-compatible servers: vLLM, llama-server, llama_cpp.server, Ollama, LM Studio and others.

No weights and no native code, so it runs in the application's own process, on a thread with an event loop. `address`
and `keys` are light; everything that imports httpx2 is only loaded when a server is asked.

What servers say is untrusted: replies are capped in size and time, redirects are not followed, and whether the
log-probabilities of a prompt are real is found out at connect (`probing`), since some servers ignore the request and
some answer it wrongly.
"""
