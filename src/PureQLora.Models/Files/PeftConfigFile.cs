using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Reads and writes PEFT's <c>adapter_config.json</c>.</summary>
internal static class PeftConfigFile
{
    /// <summary>The file's name.</summary>
    public const string Name = "adapter_config.json";

    private const int MostPatterns = 10_000;

    // They say nothing about what the adapter computes, or hold settings of options that are refused when they are on.
    private static readonly HashSet<string> Harmless = new(StringComparer.Ordinal)
    {
        "auto_mapping", "inference_mode", "peft_version", "megatron_core", "qalora_group_size", "ensure_weight_tying", "runtime_config",
    };

    // Options that change the result or the base model; every one is off as null, false or empty.
    private static readonly HashSet<string> Refused = new(StringComparer.Ordinal)
    {
        "lora_bias", "modules_to_save", "exclude_modules", "layer_replication", "trainable_token_indices", "target_parameters", "fan_in_fan_out",
        "alora_invocation_tokens", "arrow_config", "corda_config", "eva_config", "kasa_config", "lora_ga_config", "loftq_config", "megatron_config",
        "monteclora_config", "velora_config", "use_bdlora",
    };

    // PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base weights too, so their adapters mean nothing on the original ones.
    private static readonly HashSet<string> HarmlessInitialisations = new(StringComparer.Ordinal) { "gaussian", "orthogonal", "eva" };

    private static readonly JsonWriterOptions AsPeft = new() { Indented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.Default };

    /// <summary>Reads the file.</summary>
    /// <exception cref="UserErrorException">It is damaged or asks for something unsupported.</exception>
    public static LoraConfig Read(string path) => Parse(JsonFile.ReadObject(path), path);

    /// <summary>Reads the object.</summary>
    public static LoraConfig Parse(JsonElement root, string source)
    {
        JsonFields fields = new(root, source);
        RequireText(fields, "peft_type", "LORA", required: true);
        RequireText(fields, "task_type", "CAUSAL_LM", required: false);
        RequireText(fields, "bias", "none", required: false);
        if (fields.Flag("use_dora", fallback: false))
        {
            throw new UserErrorException($"{source}: \"use_dora\" is true, but DoRA is not supported yet; use a plain LoRA adapter.");
        }

        foreach (string key in fields.Names.Where(Refused.Contains))
        {
            if (fields.Find(key) is { } value && !IsOff(value))
            {
                throw fields.Wrong(key, value, "only null, false or empty, because this engine does not support that option");
            }
        }

        CheckInitialisation(fields);
        bool groups = fields.Flag("use_qalora", fallback: false);
        (IReadOnlyList<string> targets, string? pattern) = ReadTargets(fields);
        LoraConfig config = new()
        {
            Rank = fields.Integer("r", 1, 65536) ?? 8,
            Alpha = fields.Number("lora_alpha", 0, 1e9) ?? 8,
            Dropout = fields.Number("lora_dropout", 0, 1) ?? 0,
            TargetModules = targets,
            TargetPattern = pattern,
            LayersToTransform = ReadLayers(fields),
            UseRsLora = fields.Flag("use_rslora", fallback: false),
            UseQaLora = groups,
            QaLoraGroupSize = (groups ? fields.Integer("qalora_group_size", 1, 1 << 20) : null) ?? 16,
            RankPattern = ReadPattern(fields, "rank_pattern", (inner, key) => inner.RequiredInteger(key, 1, 65536)),
            AlphaPattern = ReadPattern(fields, "alpha_pattern", (inner, key) => inner.Number(key, 0, 1e9)
                ?? throw new UserErrorException($"{source}: \"{inner.Path(key)}\" is null, allowed is a number.")),
            BaseModel = fields.Text("base_model_name_or_path"),
            Revision = fields.Text("revision"),
        };
        return config with { IgnoredKeys = UnknownKeys(fields) };
    }

    /// <summary>The file's text: the keys that every PEFT since 0.9 knows, sorted, with PEFT's defaults; those of QA-LoRA only where it is used, since older ones do not know them.</summary>
    public static string Write(LoraConfig config)
    {
        using MemoryStream memory = new();
        using (Utf8JsonWriter json = new(memory, AsPeft))
        {
            json.WriteStartObject();
            WritePattern(json, "alpha_pattern", config.AlphaPattern);
            json.WriteNull("auto_mapping");
            json.WriteString("base_model_name_or_path", config.BaseModel);
            json.WriteString("bias", "none");
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            json.WriteBoolean("init_lora_weights", true);
            json.WriteNull("layer_replication");
            json.WriteNull("layers_pattern");
            WriteLayers(json, config.LayersToTransform);
            json.WriteStartObject("loftq_config");
            json.WriteEndObject();
            WriteNumber(json, "lora_alpha", config.Alpha, alwaysFraction: false);
            WriteNumber(json, "lora_dropout", config.Dropout, alwaysFraction: true);
            json.WriteNull("megatron_config");
            json.WriteString("megatron_core", "megatron.core");
            json.WriteNull("modules_to_save");
            json.WriteString("peft_type", "LORA");
            if (config.UseQaLora)
            {
                json.WriteNumber("qalora_group_size", config.QaLoraGroupSize);
            }

            json.WriteNumber("r", config.Rank);
            WritePattern(json, "rank_pattern", [.. config.RankPattern.Select(entry => KeyValuePair.Create(entry.Key, (double)entry.Value))]);
            json.WriteString("revision", config.Revision);
            WriteTargets(json, config);
            json.WriteString("task_type", "CAUSAL_LM");
            json.WriteBoolean("use_dora", false);
            if (config.UseQaLora)
            {
                json.WriteBoolean("use_qalora", true);
            }

            json.WriteBoolean("use_rslora", config.UseRsLora);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(memory.ToArray());
    }

    private static void RequireText(JsonFields fields, string key, string allowed, bool required)
    {
        string? text = fields.Text(key);
        if (text is null ? required : text != allowed)
        {
            throw new UserErrorException($"{fields.Source}: \"{key}\" is {(text is null ? "missing" : $"\"{text}\"")}, allowed is \"{allowed}\"; other kinds of adapters are not supported.");
        }
    }

    private static bool IsOff(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };

    private static void CheckInitialisation(JsonFields fields)
    {
        if (fields.Find("init_lora_weights") is { } value && value.ValueKind is not (JsonValueKind.True or JsonValueKind.False)
            && !(value.ValueKind == JsonValueKind.String && HarmlessInitialisations.Contains(value.GetString()!)))
        {
            throw fields.Wrong("init_lora_weights", value, "true, false, \"gaussian\", \"orthogonal\" or \"eva\"; other kinds change the base model as well");
        }
    }

    private static (IReadOnlyList<string> Targets, string? Pattern) ReadTargets(JsonFields fields)
    {
        JsonElement value = fields.Find("target_modules")
            ?? throw new UserErrorException($"{fields.Source}: \"target_modules\" is missing; it must list the adapted modules.");
        if (value.ValueKind == JsonValueKind.String)
        {
            return ([], value.GetString());
        }

        IReadOnlyList<string> targets = fields.Texts("target_modules")!;
        return targets.Count > 0 && targets.All(target => target.Length > 0)
            ? (targets, null)
            : throw fields.Wrong("target_modules", value, "a list of module names, or a regular expression");
    }

    private static IReadOnlyList<int>? ReadLayers(JsonFields fields)
    {
        JsonElement? pattern = fields.Find("layers_pattern");
        if (pattern is { } given && !IsOff(given) && given.GetRawText() is not ("\"layers\"" or "[\"layers\"]" or "\"\""))
        {
            throw fields.Wrong("layers_pattern", given, "null or \"layers\", the name that this engine's models have");
        }

        return fields.Find("layers_to_transform") is null ? null : fields.Integers("layers_to_transform", 0, 65535);
    }

    private static List<KeyValuePair<string, T>> ReadPattern<T>(JsonFields fields, string key, Func<JsonFields, string, T> read)
    {
        if (fields.Object(key) is not { } inner)
        {
            return [];
        }

        List<KeyValuePair<string, T>> patterns = [.. inner.Names.Select(name => KeyValuePair.Create(name, read(inner, name)))];
        return patterns.Count <= MostPatterns
            ? patterns
            : throw new UserErrorException($"{fields.Source}: \"{key}\" has {patterns.Count} entries, allowed are {MostPatterns}.");
    }

    // What a newer PEFT may have added is off as null, false or empty; switched on it may change the result.
    private static List<string> UnknownKeys(JsonFields fields)
    {
        List<string> ignored = [];
        foreach (string key in fields.Unread.Where(key => !Harmless.Contains(key)).ToList())
        {
            JsonElement? value = fields.Find(key);
            if (value is { ValueKind: JsonValueKind.True } || (value is { ValueKind: JsonValueKind.Object or JsonValueKind.Array } container && !IsOff(container)))
            {
                throw fields.Wrong(key, value.Value, "only null, false or empty, because this engine does not know that option");
            }

            if (value is { ValueKind: not JsonValueKind.False })
            {
                ignored.Add(key);
            }
        }

        return ignored;
    }

    private static void WritePattern(Utf8JsonWriter json, string key, IReadOnlyList<KeyValuePair<string, double>> patterns)
    {
        json.WriteStartObject(key);
        foreach ((string pattern, double value) in patterns)
        {
            WriteNumber(json, pattern, value, alwaysFraction: false);
        }

        json.WriteEndObject();
    }

    private static void WriteLayers(Utf8JsonWriter json, IReadOnlyList<int>? layers)
    {
        if (layers is null)
        {
            json.WriteNull("layers_to_transform");
            return;
        }

        json.WriteStartArray("layers_to_transform");
        foreach (int layer in layers)
        {
            json.WriteNumberValue(layer);
        }

        json.WriteEndArray();
    }

    private static void WriteTargets(Utf8JsonWriter json, LoraConfig config)
    {
        if (config.TargetPattern is not null)
        {
            json.WriteString("target_modules", config.TargetPattern);
            return;
        }

        json.WriteStartArray("target_modules");
        foreach (string target in config.TargetModules)
        {
            json.WriteStringValue(target);
        }

        json.WriteEndArray();
    }

    // PEFT's fields are typed by convention only: alpha is an int where it is whole, dropout is always a float.
    private static void WriteNumber(Utf8JsonWriter json, string key, double value, bool alwaysFraction)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        json.WritePropertyName(key);
        json.WriteRawValue(alwaysFraction && !text.AsSpan().ContainsAny('.', 'E') ? text + ".0" : text);
    }
}
