using System.Text.Json;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class PeftCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string> Adapters => new()
    {
        { "llama-mha", "lora/llama-mha--lora" },
        { "llama-mha", "lora/llama-mha--rslora" },
        { "llama-mha", "lora/llama-mha--patterns" },
        { "llama-mha", "lora/llama-mha--all-linear" },
        { "llama3-gqa", "lora/llama3-gqa--lora" },
        { "llama3-gqa", "lora/llama3-gqa--rslora" },
        { "llama3-gqa", "lora/llama3-gqa--patterns" },
        { "qwen2", "lora/qwen2--lora" },
        { "llama-mha", "train/llama-mha--lora/initial" },
        { "llama-mha", "train/llama-mha--lora/final" },
        { "qwen2", "train/qwen2--lora/final" },
        { "llama-mha", "bad/good" },
    };

    public static TheoryData<string, string, string> BadAdapters => new()
    {
        { "rank-mismatch", "adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_A.weight" },
        { "rank-disagrees-a-b", "adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_B.weight" },
        { "missing-tensor", "adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_B.weight" },
        { "extra-tensor", "adapter_model.safetensors", "layers.7" },
        { "unknown-target", "adapter_config.json", "query_key_value" },
        { "partly-unknown-target", "adapter_config.json", "w_proj" },
        { "shape-mismatch-base", "adapter_model.safetensors", "lora_A.weight" },
        { "nan", "adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_B.weight" },
        { "infinity", "adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_A.weight" },
        { "not-lora", "adapter_config.json", "peft_type" },
        { "rank-zero", "adapter_config.json", "\"r\" is 0" },
        { "truncated", "adapter_model.safetensors", "layers.1.self_attn.v_proj.lora_B.weight" },
        { "empty-file", "adapter_model.safetensors", "0 bytes" },
        { "header-longer-than-file", "adapter_model.safetensors", "header" },
        { "header-length-negative", "adapter_model.safetensors", "18446744073709551615" },
        { "header-not-json", "adapter_model.safetensors", "JSON" },
        { "offsets-overlap", "adapter_model.safetensors", "overlaps" },
        { "offsets-beyond-file", "adapter_model.safetensors", "ends at byte" },
        { "offsets-reversed", "adapter_model.safetensors", "before it begins" },
        { "size-disagrees-with-shape", "adapter_model.safetensors", "256 bytes" },
        { "shape-overflows", "adapter_model.safetensors", "overflows" },
        { "unknown-dtype", "adapter_model.safetensors", "F13" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Adapters))]
    public void Read_GivenPeftsFolder_ShouldReadItAndWriteTheSameTensors(string model, string path)
    {
        string folder = Find(path);
        PeftAdapter adapter = PeftCheckpoint.Read(folder, Modules(model));

        GoldenTensors golden = GoldenTensors.Read(Path.Combine(folder, "adapter_model.safetensors"));
        Assert.Equal(golden.Names.Order(StringComparer.Ordinal), adapter.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.All(golden.Names, name => Assert.Equal(golden.Floats(name), adapter.Tensors[name].Floats.ToArray()));
        Assert.Equal(golden.Names.Count, 2 * adapter.Modules.Count);
        Assert.Empty(adapter.Config.IgnoredKeys);

        PeftCheckpoint.Write(_folder["again"], adapter);
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder, "adapter_model.safetensors")), File.ReadAllBytes(Path.Combine(_folder["again"], "adapter_model.safetensors")));
        JsonObject theirs = JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "adapter_config.json")))!.AsObject();
        JsonObject ours = JsonNode.Parse(File.ReadAllBytes(Path.Combine(_folder["again"], "adapter_config.json")))!.AsObject();
        Assert.All(ours, member => Assert.Equal(theirs[member.Key]?.ToJsonString(), member.Value?.ToJsonString()));
        Assert.Equal(PeftCheckpoint.ReadConfig(folder).RankPattern, PeftCheckpoint.ReadConfig(_folder["again"]).RankPattern);
    }

    [Theory]
    [InlineData("llama-mha--lora")]
    [InlineData("llama-mha--rslora")]
    [InlineData("llama-mha--patterns")]
    public void ScaleOf_GivenGoldenLayers_ShouldMatchPeft(string name)
    {
        LoraConfig config = PeftCheckpoint.ReadConfig(Find("lora/" + name));
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Find("lora/" + name), "golden.json")));
        int layers = 0;
        foreach (JsonProperty layer in golden.RootElement.GetProperty("layers").EnumerateObject())
        {
            layers++;
            Assert.True(config.Targets(layer.Name));
            Assert.Equal(layer.Value.GetProperty("r").GetInt32(), config.RankOf(layer.Name));
            Assert.Equal(layer.Value.GetProperty("alpha").GetDouble(), config.AlphaOf(layer.Name));
            Assert.Equal(layer.Value.GetProperty("scaling").GetDouble(), config.ScaleOf(layer.Name), 1e-15);
        }

        Assert.Equal(Modules("llama-mha").Keys.Count(config.Targets), layers);
    }

    [Theory]
    [MemberData(nameof(BadAdapters))]
    public void Read_GivenABadAdapter_ShouldNameFileAndCulprit(string name, string file, string culprit)
    {
        string message = Assert.Throws<UserErrorException>(() => PeftCheckpoint.Read(Find("bad/" + name), Modules("llama-mha"))).Message;
        Assert.Contains(Path.Combine(name, file), message, StringComparison.Ordinal);
        Assert.Contains(culprit, message, StringComparison.Ordinal);
    }

    [Fact]
    public void BadAdapters_GivenTheFolder_ShouldAllBeTested()
    {
        string[] tested = [.. BadAdapters.Select(row => row.Data.Item1)];
        Assert.Equal(
            Directory.GetDirectories(RepositoryPaths.Fixture("models", "bad")).Select(Path.GetFileName).Order(StringComparer.Ordinal),
            tested.Append("good").Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("use_dora", "true", "DoRA is not supported yet")]
    [InlineData("lora_bias", "true", "lora_bias")]
    [InlineData("bias", "\"all\"", "bias")]
    [InlineData("modules_to_save", "[\"lm_head\"]", "modules_to_save")]
    [InlineData("exclude_modules", "\"v_proj\"", "exclude_modules")]
    [InlineData("fan_in_fan_out", "true", "fan_in_fan_out")]
    [InlineData("init_lora_weights", "\"pissa\"", "init_lora_weights")]
    [InlineData("loftq_config", "{\"loftq_bits\": 4}", "loftq_config")]
    [InlineData("layer_replication", "[[0, 2]]", "layer_replication")]
    [InlineData("trainable_token_indices", "[1]", "trainable_token_indices")]
    [InlineData("task_type", "\"SEQ_CLS\"", "task_type")]
    [InlineData("layers_pattern", "\"h\"", "layers_pattern")]
    [InlineData("brand_new_option", "true", "brand_new_option")]
    [InlineData("brand_new_option", "{\"a\": 1}", "brand_new_option")]
    [InlineData("r", "\"2\"", "\"r\"")]
    [InlineData("r", "-2", "\"r\"")]
    [InlineData("r", "2.5", "\"r\"")]
    [InlineData("lora_alpha", "-1", "lora_alpha")]
    [InlineData("lora_dropout", "1.5", "lora_dropout")]
    [InlineData("target_modules", "null", "target_modules")]
    [InlineData("target_modules", "[]", "target_modules")]
    [InlineData("target_modules", "[1]", "target_modules")]
    [InlineData("target_modules", "\"(unclosed\"", "(unclosed")]
    [InlineData("target_modules", "\"(?=look)ahead\"", "linear time")]
    [InlineData("target_modules", "\"nothing\"", "target_modules")]
    [InlineData("rank_pattern", "{\"q_proj\": 0}", "rank_pattern.q_proj")]
    [InlineData("rank_pattern", "{\"q_proj)(\": 2}", "q_proj)(")]
    [InlineData("alpha_pattern", "{\"misspelt_proj\": 2}", "misspelt_proj")]
    public void Read_GivenAnOptionItCannotHonour_ShouldRefuseItByName(string key, string value, string named)
    {
        string folder = GoodWith(json => json[key] = JsonNode.Parse(value));
        string message = Assert.Throws<UserErrorException>(() => PeftCheckpoint.Read(folder, Modules("llama-mha"))).Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("target_modules", "\".*\\\\.self_attn\\\\.[qv]_proj\"")]
    [InlineData("target_modules", "[\"self_attn.q_proj\", \"v_proj\"]")]
    [InlineData("layers_to_transform", "[0, 1]")]
    [InlineData("brand_new_option", "null")]
    [InlineData("brand_new_option", "false")]
    [InlineData("rank_pattern", "{\"q_p.oj\": 2}")]
    public void Read_GivenTheSameInOtherWords_ShouldRead(string key, string value)
    {
        string folder = GoodWith(json => json[key] = JsonNode.Parse(value));
        Assert.Equal(4, PeftCheckpoint.Read(folder, Modules("llama-mha")).Modules.Count);
    }

    [Fact]
    public void Targets_GivenLayers_ShouldTargetOnlyThose()
    {
        LoraConfig config = new() { TargetModules = ["q_proj"], LayersToTransform = [1] };
        Assert.Equal(["model.layers.1.self_attn.q_proj"], Modules("llama-mha").Keys.Where(config.Targets));
        Assert.Equal(14, Modules("llama-mha").Keys.Count(new LoraConfig { TargetPattern = "All-Linear" }.Targets));
        Assert.False(new LoraConfig { TargetModules = ["proj"] }.Targets("model.layers.0.self_attn.q_proj"));
    }

    [Fact]
    public void RankOf_GivenSeveralPatterns_ShouldTakeTheFirstThatMatchesTheEnd()
    {
        LoraConfig config = new()
        {
            RankPattern = [new("layers.0.self_attn.q_proj", 3), new("q_proj", 4), new("_proj", 5), new("k_proj|v_proj", 6), new("self_attn", 7)],
        };
        Assert.Equal(3, config.RankOf("model.layers.0.self_attn.q_proj"));
        Assert.Equal(4, config.RankOf("model.layers.1.self_attn.q_proj"));
        Assert.Equal(4, config.RankOf("model.layers.10.self_attn.q_proj"));
        Assert.Equal(6, config.RankOf("model.layers.1.self_attn.v_proj"));
        Assert.Equal(8, config.RankOf("model.layers.1.self_attn.o_proj"));
    }

    [Fact]
    public void Read_GivenAHalfPrecisionAdapter_ShouldWidenIt()
    {
        PeftAdapter adapter = PeftCheckpoint.Read(Find("bad/good"), Modules("llama-mha"));
        string folder = GoodWith(_ => { });
        SafetensorsWriter writer = new();
        foreach ((string name, Tensor tensor) in adapter.Tensors)
        {
            writer.Add(name, tensor, SafetensorsType.BF16);
        }

        writer.Write(Path.Combine(folder, "adapter_model.safetensors"));
        PeftAdapter half = PeftCheckpoint.Read(folder, Modules("llama-mha"));
        Assert.All(half.Tensors, tensor => Assert.Equal(adapter.Tensors[tensor.Key].ToArray().Select(BFloat16.Round), tensor.Value.Floats.ToArray()));
    }

    [Fact]
    public void Read_GivenDora_ShouldSayItIsNotSupported()
    {
        string folder = RepositoryPaths.Shared("golden", "models", "lora", "llama-mha--dora");
        string message = Assert.Throws<UserErrorException>(() => PeftCheckpoint.Read(folder, Modules("llama-mha"))).Message;
        Assert.Contains("DoRA is not supported yet", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_GivenAMutatedConfig_ShouldReadOrRefuse()
    {
        string folder = _folder.CopyOf(Find("lora/llama-mha--patterns"), "mutated");
        string path = Path.Combine(folder, "adapter_config.json");
        IReadOnlyDictionary<string, (int, int)> modules = Modules("llama-mha");
        HostileInput.CheckReader(File.ReadAllBytes(path), bytes =>
        {
            File.WriteAllBytes(path, bytes);
            PeftCheckpoint.Read(folder, modules);
        });
    }

    [Fact]
    public void Read_GivenAMutatedTensorFile_ShouldReadOrRefuse()
    {
        string folder = GoodWith(_ => { });
        string path = Path.Combine(folder, "adapter_model.safetensors");
        IReadOnlyDictionary<string, (int, int)> modules = Modules("llama-mha");
        HostileInput.CheckReader(File.ReadAllBytes(path), bytes =>
        {
            File.WriteAllBytes(path, bytes);
            PeftCheckpoint.Read(folder, modules);
        });
    }

    private static IReadOnlyDictionary<string, (int Out, int In)> Modules(string model) =>
        LlamaTensorNames.LinearLayers(LlamaConfig.Read(RepositoryPaths.Fixture("models", model)));

    private static string Find(string path) => Directory.Exists(RepositoryPaths.Fixture(["models", .. path.Split('/')]))
        ? RepositoryPaths.Fixture(["models", .. path.Split('/')])
        : RepositoryPaths.Shared(["golden", "models", .. path.Split('/')]);

    private string GoodWith(Action<JsonObject> edit)
    {
        string folder = _folder.CopyOf(Find("bad/good"), "changed");
        string path = Path.Combine(folder, "adapter_config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
        return folder;
    }
}
