using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class HuggingFaceCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Models =>
        ["llama-mha", "llama3-gqa", "llama-sharded", "mistral-sliding", "qwen2", "qwen3", "llama-bias", "llama-linear", "llama-yarn"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Models))]
    public void Open_GivenAGoldenModel_ShouldFindEveryTensor(string model)
    {
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(RepositoryPaths.Fixture("models", model));
        checkpoint.CheckFinite();

        IReadOnlyDictionary<string, Shape> expected = LlamaTensorNames.Tensors(checkpoint.Config);
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), checkpoint.Names);
        Assert.All(expected, tensor => Assert.Equal(tensor.Value, checkpoint.Get(tensor.Key).Shape));
        foreach ((string module, (int outDim, int inDim)) in LlamaTensorNames.LinearLayers(checkpoint.Config))
        {
            WeightMatrix weight = checkpoint.GetWeight(module);
            Assert.Equal((outDim, inDim), (weight.OutDim, weight.InDim));
            Assert.Equal(LlamaTensorNames.HasBias(checkpoint.Config, module) ? new Shape(outDim) : null, checkpoint.GetBias(module)?.Shape);
        }

        Tensor copy = checkpoint.GetFloat32Copy(LlamaTensorNames.Embedding);
        Assert.Equal(checkpoint.Get(LlamaTensorNames.Embedding).ToArray(), copy.Floats.ToArray());
        Assert.False(((CpuStorage)copy.Storage).IsReadOnly);
        Assert.Equal([2], checkpoint.EosIds);
    }

    [Fact]
    public void Open_GivenAGenerationConfig_ShouldTakeItsEosIds()
    {
        string folder = Copy("llama-mha");
        Edit(folder, "generation_config.json", json => json["eos_token_id"] = new JsonArray(5, 7));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.Equal([5, 7], checkpoint.EosIds);
    }

    [Fact]
    public void Open_GivenAnOldCheckpoint_ShouldTolerateFrequenciesAndATiedCopy()
    {
        string folder = Copy("llama3-gqa");
        Rewrite(folder, (writer, file) =>
        {
            writer.AddFloats("model.layers.0.self_attn.rotary_emb.inv_freq", new float[8], [8]);
            writer.Add("lm_head.weight", file.GetTensor("model.embed_tokens.weight"));
        });
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.True(checkpoint.Contains("lm_head.weight"));
    }

    [Fact]
    public void Open_GivenATiedOutputThatDiffers_ShouldRefuseIt()
    {
        string folder = Copy("llama3-gqa");
        Rewrite(folder, (writer, _) => writer.AddFloats("lm_head.weight", new float[160 * 64], [160, 64], SafetensorsType.BF16));
        AssertRefused(folder, "lm_head.weight", "tie_word_embeddings");
    }

    [Fact]
    public void Open_GivenExtraTensors_ShouldListThem()
    {
        string folder = Copy("llama-mha");
        Rewrite(folder, (writer, _) =>
        {
            writer.AddFloats("model.layers.0.self_attn.q_proj.bias", new float[64], [64]);
            writer.AddFloats("model.layers.2.input_layernorm.weight", new float[64], [64]);
        });
        AssertRefused(folder, "model.safetensors", "model.layers.0.self_attn.q_proj.bias", "model.layers.2.input_layernorm.weight");
    }

    [Theory]
    [InlineData("num_hidden_layers", 3, "model.layers.2.input_layernorm.weight")]
    [InlineData("intermediate_size", 112, "model.layers.0.mlp.gate_proj.weight")]
    [InlineData("vocab_size", 191, "model.embed_tokens.weight")]
    [InlineData("num_key_value_heads", 2, "model.layers.0.self_attn.k_proj.weight")]
    public void Open_GivenAConfigOfAnotherModel_ShouldNameTheTensor(string key, int value, string tensor)
    {
        string folder = Copy("llama-mha");
        Edit(folder, "config.json", json => json[key] = value);
        AssertRefused(folder, tensor);
    }

    [Fact]
    public void Open_GivenAWrongType_ShouldNameTheTensor()
    {
        string folder = Copy("llama-mha");
        Rewrite(folder, (writer, _) => writer.AddInts("model.norm.weight", new int[64], [64]), without: "model.norm.weight");
        AssertRefused(folder, "model.norm.weight", "I32");
    }

    [Fact]
    public void CheckFinite_GivenANaN_ShouldNameTheTensor()
    {
        string folder = Copy("llama-mha");
        float[] norm = new float[64];
        norm[37] = float.NaN;
        Rewrite(folder, (writer, _) => writer.AddFloats("model.norm.weight", norm, [64]), without: "model.norm.weight");
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        string message = Assert.Throws<UserErrorException>(checkpoint.CheckFinite).Message;
        Assert.Contains("\"model.norm.weight\"", message, StringComparison.Ordinal);
        Assert.Contains("element 37", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_GivenAMissingShard_ShouldNameIt()
    {
        string folder = Copy("llama-sharded");
        File.Delete(Path.Combine(folder, "model-00003-of-00004.safetensors"));
        AssertRefused(folder, "model-00003-of-00004.safetensors");
    }

    [Theory]
    [InlineData("../model-00001-of-00004.safetensors")]
    [InlineData("/etc/model.safetensors")]
    [InlineData("sub\\model.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("model.bin")]
    [InlineData("a\u0000.safetensors")]
    public void Open_GivenAShardOutsideTheFolder_ShouldRefuseIt(string shard)
    {
        string folder = Copy("llama-sharded");
        EditIndex(folder, map => map["model.norm.weight"] = shard);
        AssertRefused(folder, "model.safetensors.index.json", "model.norm.weight");
    }

    [Fact]
    public void Open_GivenATensorListedInAnotherShard_ShouldNameIt()
    {
        string folder = Copy("llama-sharded");
        EditIndex(folder, map => map["model.norm.weight"] = "model-00001-of-00004.safetensors");
        AssertRefused(folder, "model.norm.weight", "model-00001-of-00004.safetensors");
    }

    [Fact]
    public void Open_GivenAnUnlistedTensor_ShouldNameIt()
    {
        string folder = Copy("llama-sharded");
        EditIndex(folder, map => map.Remove("model.norm.weight"));
        AssertRefused(folder, "model.norm.weight", "nowhere");
    }

    [Fact]
    public void Open_GivenAListedTensorThatNoShardHas_ShouldNameIt()
    {
        string folder = Copy("llama-sharded");
        EditIndex(folder, map => map["model.layers.5.up.weight"] = "model-00001-of-00004.safetensors");
        AssertRefused(folder, "model.layers.5.up.weight");
    }

    [Fact]
    public void Open_GivenATensorInTwoShards_ShouldNameIt()
    {
        string folder = Copy("llama-sharded");
        File.Copy(Path.Combine(folder, "model-00004-of-00004.safetensors"), Path.Combine(folder, "model-00005-of-00004.safetensors"));
        EditIndex(folder, map => map["model.other.weight"] = "model-00005-of-00004.safetensors");
        AssertRefused(folder, "lm_head.weight");
    }

    [Fact]
    public void Open_GivenNoModel_ShouldSayWhatIsMissing()
    {
        AssertRefused(_folder.Path, "config.json");
        string folder = Copy("llama-mha");
        File.Delete(Path.Combine(folder, "model.safetensors"));
        AssertRefused(folder, "model.safetensors");
        AssertRefused(_folder["absent"], "absent");
    }

    [Fact]
    public void Write_GivenAModel_ShouldOpenAgainWithTheSameTensors()
    {
        string source = RepositoryPaths.Fixture("models", "qwen3");
        using HuggingFaceCheckpoint original = HuggingFaceCheckpoint.Open(source);
        SafetensorsWriter writer = new();
        foreach (string name in original.Names)
        {
            writer.Add(name, original.Get(name));
        }

        HuggingFaceCheckpoint.Write(_folder["copy"], original.Config, writer, source);
        using HuggingFaceCheckpoint copy = HuggingFaceCheckpoint.Open(_folder["copy"]);

        Assert.All(original.Names, name => Assert.Equal(original.Get(name).ToArray(), copy.Get(name).ToArray()));
        Assert.True(File.Exists(Path.Combine(_folder["copy"], "generation_config.json")));
        Assert.Empty(Directory.GetFiles(_folder["copy"], "*.tmp"));
    }

    [Fact]
    public void Open_GivenAMutatedIndex_ShouldOpenOrRefuse()
    {
        string folder = Copy("llama-sharded");
        string index = Path.Combine(folder, "model.safetensors.index.json");
        HostileInput.CheckReader(File.ReadAllBytes(index), bytes =>
        {
            File.WriteAllBytes(index, bytes);
            HuggingFaceCheckpoint.Open(folder).Dispose();
        });
    }

    private static void AssertRefused(string folder, params string[] named)
    {
        string message = Assert.Throws<UserErrorException>(() => HuggingFaceCheckpoint.Open(folder).Dispose()).Message;
        Assert.All(named, name => Assert.Contains(name, message, StringComparison.Ordinal));
    }

    private static void Edit(string folder, string file, Action<JsonObject> edit)
    {
        string path = Path.Combine(folder, file);
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    private static void EditIndex(string folder, Action<JsonObject> edit) =>
        Edit(folder, "model.safetensors.index.json", json => edit(json["weight_map"]!.AsObject()));

    private static void Rewrite(string folder, Action<SafetensorsWriter, SafetensorsFile> change, string? without = null)
    {
        string path = Path.Combine(folder, "model.safetensors");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        SafetensorsWriter writer = new();
        foreach (string name in file.Names.Where(name => name != without))
        {
            writer.Add(name, file.GetTensor(name));
        }

        change(writer, file);
        writer.Write(path);
    }

    private string Copy(string model) => _folder.CopyOf(RepositoryPaths.Fixture("models", model), model);
}
