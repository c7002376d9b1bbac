using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The canonical names and shapes of a model's tensors, as Hugging Face checkpoints have them.</summary>
public static class LlamaTensorNames
{
    /// <summary>The embedding, [vocabulary, hidden].</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>The norm after the last block, [hidden].</summary>
    public const string FinalNorm = "model.norm.weight";

    /// <summary>The output layer, [vocabulary, hidden]; absent where it is tied to the embedding.</summary>
    public const string Output = "lm_head.weight";

    /// <summary>Names of the seven linear layers inside a block, in the order of their use.</summary>
    public static IReadOnlyList<string> LinearLayersOfBlock { get; } =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    /// <summary>What all names of a block start with, the dot included.</summary>
    public static string Block(int layer) => $"model.layers.{layer}.";

    /// <summary>
    /// The linear layers of all blocks by module name (<c>model.layers.0.self_attn.q_proj</c>): what can be quantised and what adapters
    /// go on. In the order of the model.
    /// </summary>
    public static IReadOnlyDictionary<string, (int Out, int In)> LinearLayers(LlamaConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        OrderedDictionary<string, (int Out, int In)> modules = new(StringComparer.Ordinal);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (string name in LinearLayersOfBlock)
            {
                modules.Add(Block(layer) + name, LinearSize(config, name));
            }
        }

        return modules;
    }

    /// <summary>Whether that linear layer of a block has a bias.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">A module name; only its last part counts.</param>
    public static bool HasBias(LlamaConfig config, string module)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(module);
        return module[(module.LastIndexOf('.') + 1)..] switch
        {
            "q_proj" or "k_proj" or "v_proj" => config.QueryKeyValueBias,
            "o_proj" => config.OutputBias,
            _ => config.MlpBias,
        };
    }

    /// <summary>All tensors of an unquantised checkpoint with their shapes, in the order of the model.</summary>
    public static IReadOnlyDictionary<string, Shape> Tensors(LlamaConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        OrderedDictionary<string, Shape> tensors = new(StringComparer.Ordinal) { [Embedding] = new Shape(config.VocabularySize, config.HiddenSize) };
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string block = Block(layer);
            tensors.Add(block + "input_layernorm.weight", new Shape(config.HiddenSize));
            tensors.Add(block + "post_attention_layernorm.weight", new Shape(config.HiddenSize));
            if (config.QueryKeyNorm)
            {
                tensors.Add(block + "self_attn.q_norm.weight", new Shape(config.HeadDim));
                tensors.Add(block + "self_attn.k_norm.weight", new Shape(config.HeadDim));
            }

            foreach (string name in LinearLayersOfBlock)
            {
                (int outDim, int inDim) = LinearSize(config, name);
                tensors.Add($"{block}{name}.weight", new Shape(outDim, inDim));
                if (HasBias(config, name))
                {
                    tensors.Add($"{block}{name}.bias", new Shape(outDim));
                }
            }
        }

        tensors.Add(FinalNorm, new Shape(config.HiddenSize));
        if (!config.TieWordEmbeddings)
        {
            tensors.Add(Output, new Shape(config.VocabularySize, config.HiddenSize));
        }

        return tensors;
    }

    private static (int Out, int In) LinearSize(LlamaConfig config, string name) => name switch
    {
        "self_attn.q_proj" => (config.Heads * config.HeadDim, config.HiddenSize),
        "self_attn.k_proj" or "self_attn.v_proj" => (config.KeyValueHeads * config.HeadDim, config.HiddenSize),
        "self_attn.o_proj" => (config.HiddenSize, config.Heads * config.HeadDim),
        "mlp.down_proj" => (config.HiddenSize, config.IntermediateSize),
        _ => (config.IntermediateSize, config.HiddenSize),
    };
}
