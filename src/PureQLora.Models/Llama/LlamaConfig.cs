using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What a LLaMA-family model is, as its <c>config.json</c> says; everything a model needs to know, defaults filled in.</summary>
/// <remarks>
/// Keys and defaults are those of Hugging Face transformers, both of version 4 (<c>rope_theta</c>, <c>rope_scaling</c>,
/// <c>torch_dtype</c>) and of version 5 (<c>rope_parameters</c>, <c>dtype</c>).
/// </remarks>
public sealed record LlamaConfig
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The architecture.</summary>
    public required ModelFamily Family { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Decoder blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head; even. Heads · HeadDim need not be <see cref="HiddenSize"/>.</summary>
    public required int HeadDim { get; init; }

    /// <summary>ε under the root of every RMSNorm.</summary>
    public required double RmsNormEpsilon { get; init; }

    /// <summary>Longest sequence the model was made for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>The output layer is the embedding.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>q, k and v have biases.</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>o has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>gate, up and down have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>RMSNorm over each head of q and k, before the rotation (Qwen3).</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>
    /// For each layer the number of positions a query sees, its own included: position t sees t − window + 1 … t; null for all up to t.
    /// </summary>
    public required IReadOnlyList<int?> SlidingWindows { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>How the rotary frequencies are stretched.</summary>
    public RopeScaling RopeScaling { get; init; } = RopeScaling.None;

    /// <summary>Beginning of sequence, or null.</summary>
    public int? BosId { get; init; }

    /// <summary>Tokens that end a sequence; may be empty.</summary>
    public IReadOnlyList<int> EosIds { get; init; } = [];

    /// <summary>Padding, or null.</summary>
    public int? PadId { get; init; }

    /// <summary>Type of the stored weights as the file says (<c>float32</c>, <c>bfloat16</c>, <c>float16</c>); null where it does not.</summary>
    public string? StoredType { get; init; }

    /// <summary>How the linear layers are quantised; null for full precision.</summary>
    public QuantizationConfig? Quantization { get; init; }

    /// <summary>Keys of the file that had no effect and are not known to be harmless, for tools to print.</summary>
    public IReadOnlyList<string> IgnoredKeys { get; init; } = [];

    /// <summary>The value of <c>model_type</c>.</summary>
    public string ModelType => Family switch
    {
        ModelFamily.Llama => "llama",
        ModelFamily.Mistral => "mistral",
        ModelFamily.Qwen2 => "qwen2",
        _ => "qwen3",
    };

    /// <summary>The value of <c>architectures</c>.</summary>
    public string Architecture => $"{Family}ForCausalLM";

    /// <summary>Reads a <c>config.json</c>, or the one in a folder.</summary>
    /// <exception cref="UserErrorException">It is missing or damaged, or says something this engine does not do.</exception>
    public static LlamaConfig Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        return LlamaConfigReader.Read(JsonFile.ReadObject(file), file);
    }

    /// <summary>Parses the text of a <c>config.json</c>.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What errors call it.</param>
    /// <exception cref="UserErrorException">It is damaged, or says something this engine does not do.</exception>
    public static LlamaConfig Parse(string json, string source = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        return LlamaConfigReader.Read(JsonFile.ParseObject(Encoding.UTF8.GetBytes(json), source), source);
    }

    /// <summary>The text of a <c>config.json</c> in the keys of transformers 4, which version 5 and other programs read as well.</summary>
    public string ToJson()
    {
        JsonObject json = new()
        {
            ["architectures"] = new JsonArray(Architecture),
            ["model_type"] = ModelType,
            ["vocab_size"] = VocabularySize,
            ["hidden_size"] = HiddenSize,
            ["intermediate_size"] = IntermediateSize,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KeyValueHeads,
            ["head_dim"] = HeadDim,
            ["hidden_act"] = "silu",
            ["max_position_embeddings"] = MaxPositions,
            ["rms_norm_eps"] = RmsNormEpsilon,
            ["tie_word_embeddings"] = TieWordEmbeddings,
            ["rope_theta"] = RopeTheta,
            ["rope_scaling"] = RopeScalingToJson(),
            ["bos_token_id"] = BosId,
            ["eos_token_id"] = EosIds.Count switch
            {
                0 => null,
                1 => EosIds[0],
                _ => new JsonArray([.. EosIds.Select(id => (JsonNode?)id)]),
            },
            ["pad_token_id"] = PadId,
        };
        AddFamilyKeys(json);
        if (StoredType is not null)
        {
            json["torch_dtype"] = StoredType;
        }

        if (Quantization is not null)
        {
            json["quantization_config"] = Quantization.ToJson();
        }

        return json.ToJsonString(Indented) + "\n";
    }

    private void AddFamilyKeys(JsonObject json)
    {
        switch (Family)
        {
            case ModelFamily.Llama:
                json["attention_bias"] = QueryKeyValueBias;
                json["mlp_bias"] = MlpBias;
                break;
            case ModelFamily.Mistral:
                json["sliding_window"] = SlidingWindows[0];
                break;
            default:
                int? window = SlidingWindows.FirstOrDefault(layer => layer is not null);
                json["use_sliding_window"] = window is not null;
                json["sliding_window"] = window;
                json["layer_types"] = new JsonArray([.. SlidingWindows.Select(layer => (JsonNode?)(layer is null ? LlamaConfigReader.FullAttention : LlamaConfigReader.SlidingAttention))]);
                int full = SlidingWindows.TakeWhile(layer => layer is null).Count();
                json["max_window_layers"] = full;
                if (Family == ModelFamily.Qwen3)
                {
                    json["attention_bias"] = QueryKeyValueBias;
                }

                break;
        }
    }

    private JsonObject? RopeScalingToJson()
    {
        JsonObject json = new() { ["rope_type"] = RopeScaling.TypeName };
        switch (RopeScaling)
        {
            case RopeScaling.Linear linear:
                json["factor"] = linear.Factor;
                return json;
            case RopeScaling.Llama3 llama3:
                json["factor"] = llama3.Factor;
                json["low_freq_factor"] = llama3.LowFrequencyFactor;
                json["high_freq_factor"] = llama3.HighFrequencyFactor;
                json["original_max_position_embeddings"] = llama3.OriginalMaxPositions;
                return json;
            case RopeScaling.Yarn yarn:
                json["factor"] = yarn.Factor;
                json["original_max_position_embeddings"] = yarn.OriginalMaxPositions;
                json["beta_fast"] = yarn.BetaFast;
                json["beta_slow"] = yarn.BetaSlow;
                json["truncate"] = yarn.Truncate;
                AddIfGiven(json, "attention_factor", yarn.AttentionFactor);
                AddIfGiven(json, "mscale", yarn.MScale);
                AddIfGiven(json, "mscale_all_dim", yarn.MScaleAllDims);
                return json;
            default:
                return null;
        }
    }

    private static void AddIfGiven(JsonObject json, string key, double? value)
    {
        if (value is not null)
        {
            json[key] = value;
        }
    }
}
