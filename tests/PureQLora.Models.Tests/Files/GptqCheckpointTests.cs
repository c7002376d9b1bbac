using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class GptqCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Checkpoints => ["gptq_b4_g64_sym", "gptq_b4_g64_sym_desc_act", "gptq_v2_b4_g64_asym", "gptq_b8_g64_sym"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void ReadLayer_GivenGptqmodelsFiles_ShouldMatchBitForBit(string name)
    {
        string folder = Find(name);
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        GoldenTensors golden = GoldenTensors.Read(Path.Combine(folder, "reference.safetensors"));
        string[] modules = [.. golden.Names.Where(key => key.EndsWith(".codes", StringComparison.Ordinal)).Select(key => key[..^6])];

        Assert.Equal(2, modules.Length);
        foreach (string module in modules)
        {
            using QuantizedMatrix matrix = GptqCheckpoint.ReadLayer(checkpoint, module);
            byte[] codes = new byte[matrix.OutDim * matrix.InDim];
            (float[] scales, byte[] zeros) = (new float[matrix.OutDim * matrix.Groups], new byte[matrix.OutDim * matrix.Groups]);
            for (int row = 0; row < matrix.OutDim; row++)
            {
                matrix.CopyCodes(row, codes.AsSpan(row * matrix.InDim, matrix.InDim));
                for (int group = 0; group < matrix.Groups; group++)
                {
                    scales[(row * matrix.Groups) + group] = matrix.Scale(row, group);
                    zeros[(row * matrix.Groups) + group] = (byte)matrix.Zero(row, group);
                }
            }

            Assert.Equal(golden.Bytes(module + ".codes"), codes);
            Assert.Equal(golden.Bytes(module + ".zeros"), zeros);
            Assert.Equal(golden.Floats(module + ".scales"), scales);
            Assert.Equal(golden.Ints(module + ".g_idx"), Enumerable.Range(0, matrix.InDim).Select(matrix.GroupOf));
            Assert.Equal(golden.Floats(module + ".dequantized"), matrix.Dequantize());
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void Write_GivenLayersOfGptqmodel_ShouldWriteItsWords(string name)
    {
        string folder = Find(name);
        using HuggingFaceCheckpoint original = HuggingFaceCheckpoint.Open(folder);
        using HuggingFaceCheckpoint dense = HuggingFaceCheckpoint.Open(WriteDense(original));
        Dictionary<string, QuantizedMatrix> layers = ReadAll(original);

        GptqCheckpoint.Write(_folder["ours"], dense, Settings(original), layers);

        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.Equal(original.Names, ours.Names);
        using SafetensorsFile theirFile = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        using SafetensorsFile ourFile = SafetensorsFile.Open(Path.Combine(_folder["ours"], "model.safetensors"));
        Assert.All(ours.Names, tensor => Assert.Equal(theirFile.ReadBytes(tensor), ourFile.ReadBytes(tensor)));
        Assert.Equal(Settings(original) with { Damping = null }, Settings(ours) with { Damping = null });

        // Both places must say it: transformers reads one, other loaders the other.
        File.Delete(Path.Combine(_folder["ours"], "quantize_config.json"));
        using HuggingFaceCheckpoint fromConfig = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.Equal(ours.Config.Quantization, fromConfig.Config.Quantization);
    }

    [Fact]
    public void Write_GivenSomeLayers_ShouldLeaveTheOthersDense()
    {
        using HuggingFaceCheckpoint original = HuggingFaceCheckpoint.Open(Find("gptq_b4_g64_sym"));
        using HuggingFaceCheckpoint dense = HuggingFaceCheckpoint.Open(WriteDense(original));
        Dictionary<string, QuantizedMatrix> layers = ReadAll(original).Where(layer => layer.Key.EndsWith("q_proj", StringComparison.Ordinal)).ToDictionary();

        GptqCheckpoint.Write(_folder["ours"], dense, Settings(original), layers);

        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.NotNull(ours.GetWeight("model.layers.1.self_attn.q_proj").Quantized);
        Assert.NotNull(ours.GetWeight("model.layers.1.self_attn.k_proj").Dense);
        JsonNode settings = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["ours"], "quantize_config.json")))!;
        Assert.Equal("[[\"self_attn.q_proj\"]]", settings["modules_in_block_to_quantize"]!.ToJsonString());
    }

    [Theory]
    [InlineData(2, 32)]
    [InlineData(3, -1)]
    [InlineData(4, 48)]
    [InlineData(8, 64)]
    public void Write_GivenAnyWidth_ShouldReadBackTheSame(int bits, int groupSize)
    {
        using HuggingFaceCheckpoint original = HuggingFaceCheckpoint.Open(Find("gptq_b4_g64_sym"));
        using HuggingFaceCheckpoint dense = HuggingFaceCheckpoint.Open(WriteDense(original));
        Random random = new(20240611 + bits);
        Dictionary<string, QuantizedMatrix> layers = [];
        foreach ((string module, (int outDim, int inDim)) in LlamaTensorNames.LinearLayers(original.Config))
        {
            int groups = groupSize == -1 ? 1 : (inDim + groupSize - 1) / groupSize;
            byte[] codes = [.. Enumerable.Range(0, outDim * inDim).Select(_ => (byte)random.Next(1 << bits))];
            float[] scales = [.. Enumerable.Range(0, outDim * groups).Select(_ => (float)(Half)random.NextSingle())];
            byte[] zeros = [.. Enumerable.Range(0, outDim * groups).Select(_ => (byte)random.Next(1 << bits))];
            layers.Add(module, QuantizedMatrix.FromCodes(outDim, inDim, bits, groupSize, codes, scales, zeros));
        }

        GptqCheckpoint.Write(_folder["ours"], dense, new GptqConfig { Bits = bits, GroupSize = groupSize, Symmetric = false }, layers);

        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.All(layers, layer => Assert.Equal(layer.Value.Dequantize(), ours.GetWeight(layer.Key).Quantized!.Dequantize()));
    }

    [Fact]
    public void Open_GivenOnlyQuantizeConfig_ShouldReadIt()
    {
        string folder = _folder.CopyOf(Find("gptq_v2_b4_g64_asym"), "old");
        Edit(folder, "config.json", json => json.Remove("quantization_config"));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        GptqConfig settings = Settings(checkpoint);
        Assert.Equal((4, 64, GptqFormat.V2, false), (settings.Bits, settings.GroupSize, settings.Format, settings.Symmetric));
    }

    [Theory]
    [InlineData("bits", "8", "bits")]
    [InlineData("group_size", "32", "groups of 32")]
    [InlineData("checkpoint_format", "\"marlin\"", "marlin")]
    [InlineData("lm_head", "true", "lm_head")]
    [InlineData("quant_method", "\"hqq\"", "hqq")]
    public void Open_GivenSettingsThatDoNotFit_ShouldSaySo(string key, string value, string named)
    {
        string folder = _folder.CopyOf(Find("gptq_b4_g64_sym"), "changed");
        Edit(folder, "quantize_config.json", json => json[key] = JsonNode.Parse(value));
        AssertRefused(folder, named);
    }

    [Theory]
    [InlineData("bits", 8, "qweight")]
    [InlineData("group_size", 32, "qzeros")]
    public void Open_GivenSettingsThatTheTensorsContradict_ShouldNameTheTensor(string key, int value, string tensor)
    {
        string folder = _folder.CopyOf(Find("gptq_b4_g64_sym"), "changed");
        File.Delete(Path.Combine(folder, "quantize_config.json"));
        Edit(folder, "config.json", json => json["quantization_config"]![key] = value);
        AssertRefused(folder, $"model.layers.0.self_attn.q_proj.{tensor}");
    }

    [Fact]
    public void Open_GivenAMissingTensor_ShouldNameIt()
    {
        string folder = _folder.CopyOf(Find("gptq_b4_g64_sym"), "changed");
        Rewrite(folder, "model.layers.1.mlp.up_proj.scales", (_, _) => { });
        AssertRefused(folder, "model.layers.1.mlp.up_proj.scales");
    }

    [Fact]
    public void ReadLayer_GivenAGroupOutOfRange_ShouldNameTheTensor()
    {
        const string Tensor = "model.layers.0.self_attn.q_proj.g_idx";
        string folder = _folder.CopyOf(Find("gptq_b4_g64_sym"), "changed");
        int[] index = new int[128];
        index[5] = 2;
        Rewrite(folder, Tensor, (writer, _) => writer.AddInts(Tensor, index, [128]));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        UserErrorException error = Assert.Throws<UserErrorException>(() => GptqCheckpoint.ReadLayer(checkpoint, "model.layers.0.self_attn.q_proj"));
        Assert.Contains(Tensor, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadLayer_GivenAnInfiniteScale_ShouldNameTheTensor()
    {
        const string Tensor = "model.layers.0.self_attn.q_proj.scales";
        string folder = _folder.CopyOf(Find("gptq_b4_g64_sym"), "changed");
        float[] scales = new float[256];
        scales[9] = float.PositiveInfinity;
        Rewrite(folder, Tensor, (writer, _) => writer.AddFloats(Tensor, scales, [2, 128], SafetensorsType.F16));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        UserErrorException error = Assert.Throws<UserErrorException>(() => GptqCheckpoint.ReadLayer(checkpoint, "model.layers.0.self_attn.q_proj"));
        Assert.Contains(Tensor, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PaddingWarning_GivenSidesThatFillNoWords_ShouldSayTheMultiple()
    {
        Assert.Null(GptqCheckpoint.PaddingWarning("q", 64, 96, 4));
        Assert.Contains("multiple of 8", GptqCheckpoint.PaddingWarning("q", 64, 172, 4), StringComparison.Ordinal);
        Assert.Contains("multiple of 32", GptqCheckpoint.PaddingWarning("q", 48, 64, 3), StringComparison.Ordinal);
    }

    private static string Find(string name) => Directory.Exists(RepositoryPaths.Fixture("quantization", "checkpoints", name))
        ? RepositoryPaths.Fixture("quantization", "checkpoints", name)
        : RepositoryPaths.Shared("golden", "quantization", "checkpoints", name);

    private static GptqConfig Settings(HuggingFaceCheckpoint checkpoint) => (GptqConfig)checkpoint.Config.Quantization!;

    private static Dictionary<string, QuantizedMatrix> ReadAll(HuggingFaceCheckpoint checkpoint) =>
        LlamaTensorNames.LinearLayers(checkpoint.Config).Keys.ToDictionary(module => module, module => GptqCheckpoint.ReadLayer(checkpoint, module));

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

    private static void Rewrite(string folder, string without, Action<SafetensorsWriter, SafetensorsFile> change)
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

    /// <summary>The model as it was before quantisation, as far as tests care: the dequantised layers.</summary>
    private string WriteDense(HuggingFaceCheckpoint quantized)
    {
        SafetensorsWriter writer = new();
        foreach ((string name, Shape shape) in LlamaTensorNames.Tensors(quantized.Config))
        {
            string module = name[..name.LastIndexOf('.')];
            writer.Add(name, GptqCheckpoint.IsQuantized(quantized, module) && module.EndsWith("_proj", StringComparison.Ordinal)
                ? Tensor.From(GptqCheckpoint.ReadLayer(quantized, module).Dequantize(), shape)
                : quantized.Get(name));
        }

        HuggingFaceCheckpoint.Write(_folder["dense"], quantized.Config with { Quantization = null }, writer, null);
        return _folder["dense"];
    }
}
