namespace PureQLora.Models;

/// <summary>Architectures that share the LLaMA block and differ in details that <see cref="LlamaConfig"/> spells out.</summary>
public enum ModelFamily
{
    /// <summary>Llama 1 to 3, TinyLlama, SmolLM2: <c>LlamaForCausalLM</c>.</summary>
    Llama,

    /// <summary>Sliding-window attention in all layers: <c>MistralForCausalLM</c>.</summary>
    Mistral,

    /// <summary>Biases on q, k and v: <c>Qwen2ForCausalLM</c>.</summary>
    Qwen2,

    /// <summary>RMSNorm on each head of q and k: <c>Qwen3ForCausalLM</c>.</summary>
    Qwen3,
}
