"""The OpenAI SDK for Python: Chat Completions and Responses, streamed and whole, its own retries off."""

import openai
from verdict import judge

client = openai.OpenAI(api_key="none", max_retries=0)
chat = {"model": "gpt-demo", "max_tokens": 120, "messages": [{"role": "user", "content": "The ten longest rivers?"}]}
response = {"model": "gpt-demo", "max_output_tokens": 120, "input": "The ten longest rivers?"}


def chat_stream():
    text, finish = "", None
    for chunk in client.chat.completions.create(**chat, stream=True):
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    if finish != "stop":
        raise RuntimeError("the stream ended before its finish_reason")
    return text


def response_stream():
    text = ""
    for event in client.responses.create(**response, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            return text
    raise RuntimeError("the stream ended before response.completed")


judge(
    {
        "chat": lambda: client.chat.completions.create(**chat).choices[0].message.content,
        "chatStream": chat_stream,
        "response": lambda: client.responses.create(**response).output_text,
        "responseStream": response_stream,
        "models": lambda: ",".join(model.id for model in client.models.list().data),
    }
)
