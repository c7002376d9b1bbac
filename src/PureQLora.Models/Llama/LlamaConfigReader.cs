using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Turns a checked JSON object into a <see cref="LlamaConfig"/>, refusing by name what the engine would compute wrongly.</summary>
internal static class LlamaConfigReader
{
    /// <summary>A layer that sees everything before it.</summary>
    public const string FullAttention = "full_attention";

    /// <summary>A layer with a sliding window.</summary>
    public const string SlidingAttention = "sliding_attention";

    private const int Largest = 1 << 24;

    // No effect on what the model computes in a forward pass of ours.
    private static readonly HashSet<string> Harmless = new(StringComparer.Ordinal)
    {
        "architectures", "initializer_range", "transformers_version", "use_cache", "output_attentions", "output_hidden_states",
        "return_dict", "return_dict_in_generate", "torchscript", "use_return_dict", "unsloth_fixed", "unsloth_version", "is_decoder",
        "id2label", "label2id", "problem_type", "finetuning_task", "name_or_path", "model_max_length", "max_sequence_length",
        "attn_implementation", "use_flash_attention", "chunk_size_feed_forward", "rms_norm_type", "task_specific_params", "tokenizer_class",
        "prefix", "sep_token_id", "decoder_start_token_id", "unk_token_id", "max_window_layers", "sliding_window",
    };

    // Options of relatives that change the result; the value beside each is the one that changes nothing.
    private static readonly (string Key, double? Neutral)[] Refused =
    [
        ("partial_rotary_factor", 1), ("rotary_pct", 1), ("pretraining_tp", 1), ("attention_multiplier", null), ("embedding_multiplier", 1),
        ("residual_multiplier", 1), ("logits_scaling", 1), ("logit_scale", 1), ("scale_emb", 1), ("scale_depth", null),
        ("dim_model_base", null), ("final_logit_softcapping", null), ("attn_logit_softcapping", null), ("logits_soft_cap", null),
        ("query_pre_attn_scalar", null), ("clip_qkv", null), ("num_experts", 0), ("num_local_experts", 0), ("n_routed_experts", 0),
        ("num_experts_per_tok", 0), ("moe_intermediate_size", null), ("num_nextn_predict_layers", 0), ("kv_lora_rank", null),
        ("q_lora_rank", null), ("attention_chunk_size", null), ("no_rope_layers", null), ("no_rope_layer_interval", null),
        ("original_max_position_embeddings", null), ("use_mrope", 0), ("rope_interleaved", 0), ("rope_interleave", 0),
        ("attn_temperature_tuning", 0), ("qk_layernorm", 0), ("use_qk_norm", 0), ("qk_norm", 0), ("bias", 0), ("use_bias", 0), ("qkv_bias", 0),
        ("is_encoder_decoder", 0), ("add_cross_attention", 0), ("cross_attention_hidden_size", null), ("tie_encoder_decoder", 0),
        ("auto_map", null), ("pruned_heads", null), ("vision_config", null), ("text_config", null), ("alibi", 0), ("use_parallel_residual", 0), ("layer_norm_eps", null),
        ("hidden_activation", null), ("residual_scale", 1), ("mup_base_width", null), ("normalization_type", null),
    ];

    /// <summary>Reads the object.</summary>
    public static LlamaConfig Read(JsonElement root, string source)
    {
        JsonFields fields = new(root, source);
        ModelFamily family = ReadFamily(fields);
        RefuseUnsupported(fields);
        int hidden = fields.RequiredInteger("hidden_size", 1, Largest);
        int layers = fields.RequiredInteger("num_hidden_layers", 1, 4096);
        (int heads, int keyValueHeads, int headDim) = ReadHeads(fields, family, hidden);
        int maxPositions = fields.Integer("max_position_embeddings", 1, 1 << 28)
            ?? family switch { ModelFamily.Llama => 2048, ModelFamily.Mistral => 131072, _ => 32768 };
        int vocabulary = fields.RequiredInteger("vocab_size", 1, Largest);
        bool attentionBias = family is ModelFamily.Llama or ModelFamily.Qwen3 && fields.Flag("attention_bias", fallback: false);
        IReadOnlyList<int?> windows = SlidingWindowReader.Read(fields, family, layers);
        List<string> ignored = [];
        (double theta, RopeScaling scaling) = RopeReader.Read(fields, maxPositions, ignored);
        bool hasBosAndEos = family is ModelFamily.Llama or ModelFamily.Mistral;
        LlamaConfig config = new()
        {
            Family = family,
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = fields.RequiredInteger("intermediate_size", 1, Largest),
            Layers = layers,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadDim = headDim,
            RmsNormEpsilon = fields.Number("rms_norm_eps", 0, 1) ?? 1e-6,
            MaxPositions = maxPositions,
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", fallback: false),
            QueryKeyValueBias = attentionBias || family == ModelFamily.Qwen2,
            OutputBias = attentionBias,
            MlpBias = family == ModelFamily.Llama && fields.Flag("mlp_bias", fallback: false),
            QueryKeyNorm = family == ModelFamily.Qwen3,
            SlidingWindows = windows,
            RopeTheta = theta,
            RopeScaling = scaling,
            BosId = ReadToken(fields, "bos_token_id", hasBosAndEos ? 1 : null),
            EosIds = fields.Contains("eos_token_id") || !hasBosAndEos ? fields.Integers("eos_token_id", 0, int.MaxValue) : [2],
            PadId = ReadToken(fields, "pad_token_id", null),
            StoredType = ReadStoredType(fields),
            Quantization = fields.Object("quantization_config") is { } quantization ? QuantizationConfig.Parse(quantization) : null,
        };
        ignored.AddRange(fields.Unread.Where(key => !Harmless.Contains(key) && !key.StartsWith('_')));
        return config with { IgnoredKeys = ignored };
    }

    private static ModelFamily ReadFamily(JsonFields fields)
    {
        string? type = fields.Text("model_type");
        IReadOnlyList<string> architectures = fields.Texts("architectures") ?? [];
        foreach (ModelFamily family in Enum.GetValues<ModelFamily>())
        {
            string name = family.ToString();
            bool sameType = type is not null && string.Equals(type, name, StringComparison.OrdinalIgnoreCase);
            if (architectures is [string architecture] ? architecture == $"{name}ForCausalLM" && (sameType || type is null) : architectures.Count == 0 && sameType)
            {
                return family;
            }
        }

        throw new UserErrorException(
            $"{fields.Source}: \"architectures\" is [{string.Join(", ", architectures)}] with \"model_type\" \"{type}\", allowed are LlamaForCausalLM (llama), MistralForCausalLM (mistral), Qwen2ForCausalLM (qwen2) and Qwen3ForCausalLM (qwen3); this engine has no other architectures.");
    }

    private static void RefuseUnsupported(JsonFields fields)
    {
        foreach ((string key, double? neutral) in Refused)
        {
            if (fields.Find(key) is { } value && !IsNeutral(value, neutral))
            {
                throw fields.Wrong(key, value, $"{neutral?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "only its absence"}, because this engine does not support that option");
            }
        }

        if (fields.Text("hidden_act") is { } activation and not ("silu" or "swish"))
        {
            throw new UserErrorException($"{fields.Source}: \"hidden_act\" is \"{activation}\", allowed is \"silu\", the only activation this engine has.");
        }

        // Dropout of the pre-training: it acts in training only, and there the recipe decides.
        if (fields.Find("attention_dropout") is { ValueKind: not JsonValueKind.Number } dropout)
        {
            throw fields.Wrong("attention_dropout", dropout, "a number");
        }
    }

    private static bool IsNeutral(JsonElement value, double? neutral) => value.ValueKind switch
    {
        JsonValueKind.False => neutral == 0,
        JsonValueKind.Number => value.TryGetDouble(out double number) && number == neutral,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };

    private static (int Heads, int KeyValueHeads, int HeadDim) ReadHeads(JsonFields fields, ModelFamily family, int hidden)
    {
        int heads = fields.RequiredInteger("num_attention_heads", 1, 65536);
        int keyValueHeads = fields.Integer("num_key_value_heads", 1, 65536) ?? heads;
        if (heads % keyValueHeads != 0)
        {
            throw new UserErrorException(
                $"{fields.Source}: \"num_attention_heads\" is {heads} and \"num_key_value_heads\" is {keyValueHeads}; the first must be a multiple of the second.");
        }

        int? given = fields.Integer("head_dim", 1, 65536);
        if (given is null && family == ModelFamily.Qwen3 && !fields.Contains("head_dim"))
        {
            given = 128;
        }

        if (given is null && hidden % heads != 0)
        {
            throw new UserErrorException($"{fields.Source}: \"hidden_size\" is {hidden}, not a multiple of \"num_attention_heads\", which is {heads}; then \"head_dim\" must say how wide a head is.");
        }

        int headDim = given ?? (hidden / heads);
        if (headDim % 2 != 0)
        {
            throw new UserErrorException($"{fields.Source}: \"head_dim\" is {headDim}, allowed are even numbers, because rotary embedding turns pairs.");
        }

        return (long)heads * headDim <= Largest
            ? (heads, keyValueHeads, headDim)
            : throw new UserErrorException($"{fields.Source}: {heads} heads of {headDim} are {(long)heads * headDim} wide, allowed up to {Largest}.");
    }

    private static int? ReadToken(JsonFields fields, string key, int? fallback) =>
        fields.Integer(key, -1, int.MaxValue) is { } id ? (id < 0 ? null : id) : fields.Contains(key) ? null : fallback;

    private static string? ReadStoredType(JsonFields fields)
    {
        string? type = fields.Text("dtype") ?? fields.Text("torch_dtype");
        return type?.Replace("torch.", string.Empty, StringComparison.Ordinal);
    }
}
