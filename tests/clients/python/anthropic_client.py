"""The Anthropic SDK for Python, streamed and whole. Its own retries are off: what is retried, Leeward retried."""

import anthropic
from verdict import judge

client = anthropic.Anthropic(api_key="none", max_retries=0)
messages = [{"role": "user", "content": "The ten longest rivers?"}]
question = {"model": "claude-demo", "max_tokens": 120, "messages": messages}


def stream():
    text = ""
    for event in client.messages.create(**question, stream=True):
        if event.type == "content_block_delta":
            text += event.delta.text
        if event.type == "message_stop":
            return text
    raise RuntimeError("the stream ended before message_stop")


def helper():
    with client.messages.stream(**question) as running:
        return running.get_final_text()


judge(
    {
        "whole": lambda: client.messages.create(**question).content[0].text,
        "stream": stream,
        "helper": helper,
        "count": lambda: str(client.messages.count_tokens(model="claude-demo", messages=messages).input_tokens),
        "models": lambda: ",".join(model.id for model in client.models.list().data),
    }
)
