using System.Text;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class BitsAndBytesCheckpointTests : IDisposable
{
    private const string Layer = "model.layers.0.self_attn.q_proj";
    private const string State = Layer + ".weight.quant_state.bitsandbytes__nf4";

    private readonly TemporaryFolder _folder = new();

    private static string Doubled => RepositoryPaths.Fixture("quantization", "bnb", "llama_nf4_double");

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// Quantised anew from the values before, with the same settings, every tensor of the file has the same bytes; but for scales of double
    /// quantisation that lie between two codes: bitsandbytes' CPU code rounds them to 65,536 steps before it looks for the nearest code, and
    /// so finds the second nearest for 12 of 4608.
    /// </summary>
    [Theory]
    [InlineData("llama_nf4")]
    [InlineData("llama_nf4_double")]
    public void Write_GivenTheDenseModel_ShouldWriteTheFileThatTransformersWrote(string name)
    {
        string golden = Find(name);
        using HuggingFaceCheckpoint dense = HuggingFaceCheckpoint.Open(RepositoryPaths.Shared("golden", "quantization", "checkpoints", "base"));
        using HuggingFaceCheckpoint theirs = HuggingFaceCheckpoint.Open(golden);
        BlockwiseOptions options = new() { DoubleQuantization = name.EndsWith("double", StringComparison.Ordinal) };
        Dictionary<string, BlockwiseMatrix> layers = [];
        SafetensorsWriter widened = new();
        foreach (string tensor in dense.Names)
        {
            // The base is stored as float16, and was loaded as float32 to be quantised.
            widened.AddFloats(tensor, dense.FileOf(tensor).ReadFloats(tensor), [.. dense.Info(tensor).Shape]);
        }

        HuggingFaceCheckpoint.Write(_folder["base"], dense.Config with { StoredType = "float32" }, widened, null);
        using HuggingFaceCheckpoint source = HuggingFaceCheckpoint.Open(_folder["base"]);
        foreach ((string module, (int outDim, _)) in LlamaTensorNames.LinearLayers(dense.Config))
        {
            layers.Add(module, BlockwiseQuantizer.Quantize(source.GetFloat32Copy(module + ".weight").ToArray(), outDim, options, module));
        }

        BitsAndBytesCheckpoint.Write(_folder["ours"], source, layers);

        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(golden, "model.safetensors"));
        using SafetensorsFile actual = SafetensorsFile.Open(Path.Combine(_folder["ours"], "model.safetensors"));
        Assert.Equal(expected.Names.Order(StringComparer.Ordinal), actual.Names.Order(StringComparer.Ordinal));
        int others = 0;
        Assert.All(expected.Names, tensor =>
        {
            Assert.Equal(expected.Info(tensor).Type, actual.Info(tensor).Type);
            Assert.Equal(expected.Info(tensor).Shape, actual.Info(tensor).Shape);
            (byte[] theirBytes, byte[] ourBytes) = (expected.ReadBytes(tensor), actual.ReadBytes(tensor));
            if (expected.Info(tensor).Type == SafetensorsType.U8 && tensor.EndsWith(".absmax", StringComparison.Ordinal))
            {
                others += theirBytes.Zip(ourBytes, (a, b) => a == b ? 0 : Math.Abs(a - b) == 1 ? 1 : 1000).Sum();
                return;
            }

            Assert.True(theirBytes.AsSpan().SequenceEqual(ourBytes), tensor);
        });
        Assert.Equal(options.DoubleQuantization ? 12 : 0, others);
        JsonNode theirSettings = JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "config.json")))!["quantization_config"]!;
        JsonNode ourSettings = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["ours"], "config.json")))!["quantization_config"]!;
        Assert.True(JsonNode.DeepEquals(theirSettings, ourSettings), ourSettings.ToJsonString());
        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.All(layers, layer =>
        {
            using QuantizedMatrix values = layer.Value.ToMatrix();
            Assert.Equal(values.Dequantize(), ours.GetWeight(layer.Key).Quantized!.Dequantize());
            if (!options.DoubleQuantization)
            {
                Assert.Equal(theirs.GetWeight(layer.Key).Quantized!.Dequantize(), values.Dequantize());
            }
        });
    }

    [Fact]
    public void Write_GivenWhatWasRead_ShouldWriteTheSameBytes()
    {
        using HuggingFaceCheckpoint golden = HuggingFaceCheckpoint.Open(Doubled);
        Dictionary<string, BlockwiseMatrix> some = LlamaTensorNames.LinearLayers(golden.Config).Keys
            .Where(module => module.Contains("mlp", StringComparison.Ordinal)).ToDictionary(module => module, module => BitsAndBytesCheckpoint.ReadLayer(golden, module));

        BitsAndBytesCheckpoint.Write(_folder["ours"], golden, some);

        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        Assert.Equal(golden.Names, ours.Names);
        Assert.All(golden.Names, name => Assert.True(golden.FileOf(name).HasSameBytes(name, ours.FileOf(name), name), name));
        Assert.Equal(golden.Config.Quantization, ours.Config.Quantization);
    }

    [Theory]
    [InlineData("nf4", 32, false)]
    [InlineData("nf4", 128, true)]
    [InlineData("fp4", 64, true)]
    [InlineData("fp4", 4096, false)]
    public void Write_GivenSomeLayersOfOddSizes_ShouldReadBackTheSameAndLeaveTheOthersDense(string type, int block, bool doubled)
    {
        // Rows of 34 and 54: blocks run across them.
        LlamaConfig config = LlamaConfig.Parse("""
            {"architectures": ["LlamaForCausalLM"], "vocab_size": 32, "hidden_size": 34, "intermediate_size": 54, "num_hidden_layers": 2,
             "num_attention_heads": 17, "num_key_value_heads": 17, "max_position_embeddings": 64}
            """);
        SafetensorsWriter writer = new();
        Random random = new(20240611);
        foreach ((string name, Shape shape) in LlamaTensorNames.Tensors(config))
        {
            writer.Add(name, Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(_ => random.NextSingle() - 0.5f)], shape), SafetensorsType.BF16);
        }

        HuggingFaceCheckpoint.Write(_folder["dense"], config, writer, null);
        using HuggingFaceCheckpoint dense = HuggingFaceCheckpoint.Open(_folder["dense"]);
        BlockwiseOptions options = new() { Book = type == "nf4" ? CodeBook.NormalFloat4 : CodeBook.Float4, BlockSize = block, DoubleQuantization = doubled };
        Dictionary<string, BlockwiseMatrix> layers = LlamaTensorNames.LinearLayers(config).Where(module => !module.Key.EndsWith("v_proj", StringComparison.Ordinal))
            .ToDictionary(module => module.Key, module => BlockwiseQuantizer.Quantize(dense.GetFloat32Copy(module.Key + ".weight").ToArray(), module.Value.Out, options, module.Key));

        BitsAndBytesCheckpoint.Write(_folder["ours"], dense, layers);

        using HuggingFaceCheckpoint ours = HuggingFaceCheckpoint.Open(_folder["ours"]);
        ours.CheckFinite();
        foreach ((string module, BlockwiseMatrix matrix) in layers)
        {
            using QuantizedMatrix expected = matrix.ToMatrix();
            Assert.Equal(expected.Dequantize(), ours.GetWeight(module).Quantized!.Dequantize());
            BlockwiseMatrix stored = BitsAndBytesCheckpoint.ReadLayer(ours, module);
            Assert.Equal((type, block, doubled), (stored.Book.Name, stored.BlockSize, stored.Nested is not null));
        }

        Assert.NotNull(ours.GetWeight("model.layers.1.self_attn.v_proj").Dense);
        Assert.Equal(
            ["model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.v_proj", "lm_head"], ((BitsAndBytesConfig)ours.Config.Quantization!).SkippedModules!);
        Assert.Contains("\"dtype\": \"bfloat16\"", Encoding.UTF8.GetString(ours.FileOf("model.norm.weight").ReadBytes($"{Layer}.weight.quant_state.bitsandbytes__{type}")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\u0001")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [128, 129]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [16384]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "dtype": "float32"}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 63, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 0, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": -64, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 1e300, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "fp4", "blocksize": 64, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": 4, "blocksize": 64, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128]}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 32, "shape": [128, 128], "nested_blocksize": 256, "nested_offset": 0.1}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128], "nested_blocksize": 128, "nested_offset": 0.1}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128], "nested_blocksize": 0, "nested_offset": 0.1}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128], "nested_blocksize": 256}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128], "nested_blocksize": 256, "nested_offset": "NaN"}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [128, 128], "nested_blocksize": 256, "nested_offset": 1e308}""")]
    [InlineData("""{"quant_type": "nf4", "blocksize": 64, "shape": [[[[[128]]]], 128]}""")]
    public void Open_GivenAStateThatLies_ShouldNameTheTensor(string json)
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        byte[] text = Encoding.UTF8.GetBytes(json);
        CheckpointEdit.Replace(folder, State, (writer, _) => writer.AddBytes(State, SafetensorsType.U8, text, [text.Length]));
        AssertRefused(folder, Layer);
    }

    [Fact]
    public void Open_GivenAStateOfManyBytes_ShouldRefuseItUnread()
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        CheckpointEdit.Replace(folder, State, (writer, _) => writer.AddBytes(State, SafetensorsType.U8, new byte[1 << 16], [1 << 16]));
        AssertRefused(folder, State);
    }

    [Theory]
    [InlineData(".weight", SafetensorsType.U8, 8191)]
    [InlineData(".weight.absmax", SafetensorsType.U8, 255)]
    [InlineData(".weight.absmax", SafetensorsType.F32, 256)]
    [InlineData(".weight.quant_map", SafetensorsType.F32, 15)]
    [InlineData(".weight.quant_map", SafetensorsType.I32, 16)]
    [InlineData(".weight.nested_absmax", SafetensorsType.F32, 2)]
    [InlineData(".weight.nested_quant_map", SafetensorsType.F32, 255)]
    [InlineData(".weight.nested_quant_map", SafetensorsType.F16, 256)]
    public void Open_GivenATensorOfAnotherTypeOrSize_ShouldNameIt(string suffix, SafetensorsType type, int length)
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        CheckpointEdit.Replace(folder, Layer + suffix, (writer, _) => writer.AddBytes(Layer + suffix, type, new byte[length * type.Size()], suffix == ".weight" ? [length, 1] : [length]));
        AssertRefused(folder, Layer + suffix);
    }

    [Theory]
    [InlineData(".weight.quant_map")]
    [InlineData(".weight.nested_absmax")]
    [InlineData(".weight.absmax")]
    public void Open_GivenAMissingTensor_ShouldNameIt(string suffix)
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        CheckpointEdit.Replace(folder, Layer + suffix, (_, _) => { });
        AssertRefused(folder, Layer + suffix);
    }

    [Theory]
    [InlineData(".weight.quant_map", 16, float.NaN)]
    [InlineData(".weight.nested_absmax", 1, float.PositiveInfinity)]
    [InlineData(".weight.nested_quant_map", 256, float.NaN)]
    public void ReadLayer_GivenANumberThatIsNotFinite_ShouldNameTheTensor(string suffix, int length, float value)
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        float[] values = new float[length];
        values[^1] = value;
        CheckpointEdit.Replace(folder, Layer + suffix, (writer, _) => writer.AddFloats(Layer + suffix, values, [length]));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.Contains(Layer + suffix, Assert.Throws<UserErrorException>(() => checkpoint.GetWeight(Layer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadLayer_GivenFiniteNumbersWithoutAFiniteProduct_ShouldRefuse()
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        CheckpointEdit.Replace(folder, Layer + ".weight.nested_absmax", (writer, _) => writer.AddFloats(Layer + ".weight.nested_absmax", new[] { 3e38f }, [1]));
        CheckpointEdit.Replace(folder, Layer + ".weight.quant_map", (writer, _) => writer.AddFloats(
            Layer + ".weight.quant_map", Enumerable.Range(0, 16).Select(i => i * 10f).ToArray(), [16]));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.Contains("absmax", Assert.Throws<UserErrorException>(() => checkpoint.GetWeight(Layer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadLayer_GivenABookOfItsOwn_ShouldTakeIt()
    {
        string folder = _folder.CopyOf(Doubled, "changed");
        float[] levels = [.. CodeBook.NormalFloat4.Levels.ToArray().Select(level => level / 2)];
        CheckpointEdit.Replace(folder, Layer + ".weight.quant_map", (writer, _) => writer.AddFloats(Layer + ".weight.quant_map", levels, [16]));
        using HuggingFaceCheckpoint before = HuggingFaceCheckpoint.Open(Doubled);
        using HuggingFaceCheckpoint after = HuggingFaceCheckpoint.Open(folder);
        Assert.Equal(before.GetWeight(Layer).Quantized!.Dequantize().Select(value => value / 2), after.GetWeight(Layer).Quantized!.Dequantize());
    }

    [Fact]
    public void Parse_GivenAnyDamageOfAState_ShouldReadOrRefuse() => HostileInput.CheckReader(
        """{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [8, 16], "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.25}"""u8.ToArray(),
        bytes => QuantState.Parse(bytes, "state", "nf4", 8, 16));

    private static string Find(string name) => Directory.Exists(RepositoryPaths.Fixture("quantization", "bnb", name))
        ? RepositoryPaths.Fixture("quantization", "bnb", name)
        : RepositoryPaths.Shared("golden", "quantization", "bnb", name);

    private static void AssertRefused(string folder, string named) => Assert.Contains(
        named, Assert.Throws<UserErrorException>(() => HuggingFaceCheckpoint.Open(folder).Dispose()).Message, StringComparison.Ordinal);
}
