using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class AwqCheckpointTests : IDisposable
{
    private const string Layer = "model.layers.0.self_attn.q_proj";

    private static readonly string Golden = RepositoryPaths.Fixture("quantization", "checkpoints", "awq_gemm_b4");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Unpack_GivenGoldenWords_ShouldGiveTheirCodes()
    {
        GoldenTensors packing = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "packing", "packing.safetensors"));
        byte[] expected = packing.Bytes("awq.codes_in_out");
        (int inDim, int outDim) = ((int)packing.Shape("awq.codes_in_out")[0], (int)packing.Shape("awq.codes_in_out")[1]);

        byte[] codes = AwqCheckpoint.Unpack(packing.Ints("awq.qweight"), inDim, outDim);

        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], codes[(i % outDim * inDim) + (i / outDim)]);
        }
    }

    [Fact]
    public void GetWeight_GivenTheGoldenCheckpoint_ShouldMatchBitForBit()
    {
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(Golden);
        GoldenTensors golden = GoldenTensors.Read(Path.Combine(Golden, "reference.safetensors"));
        string[] modules = [.. golden.Names.Where(key => key.EndsWith(".codes", StringComparison.Ordinal)).Select(key => key[..^6])];
        Assert.Equal(2, modules.Length);
        foreach (string module in modules)
        {
            using QuantizedMatrix matrix = checkpoint.GetWeight(module).Quantized!;
            (byte[] codes, byte[] zeros) = (golden.Bytes(module + ".codes"), golden.Bytes(module + ".zeros"));
            float[] scales = golden.Floats(module + ".scales");
            for (int i = 0; i < codes.Length; i++)
            {
                Assert.Equal(codes[i], matrix.Code(i / matrix.InDim, i % matrix.InDim));
            }

            for (int i = 0; i < scales.Length; i++)
            {
                Assert.Equal(scales[i], matrix.Scale(i / matrix.Groups, i % matrix.Groups));
                Assert.Equal(zeros[i], matrix.Zero(i / matrix.Groups, i % matrix.Groups));
            }

            Assert.Equal(golden.Floats(module + ".dequantized"), matrix.Dequantize());
        }
    }

    [Theory]
    [InlineData("group_size", 32, "qzeros")]
    [InlineData("bits", 8, "bits")]
    [InlineData("version", "gemv", "gemv")]
    public void Open_GivenSettingsThatTheTensorsContradict_ShouldSaySo(string key, object value, string named)
    {
        string folder = _folder.CopyOf(Golden, "changed");
        File.Delete(Path.Combine(folder, "quantize_config.json"));
        string path = Path.Combine(folder, "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        json["quantization_config"]![key] = value is int number ? number : (string)value;
        File.WriteAllText(path, json.ToJsonString());
        AssertRefused(folder, named);
    }

    [Fact]
    public void Open_GivenOnlyQuantizeConfig_ShouldReadIt()
    {
        string folder = _folder.CopyOf(Golden, "old");
        string path = Path.Combine(folder, "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        json.Remove("quantization_config");
        File.WriteAllText(path, json.ToJsonString());
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.Equal(new AwqConfig { GroupSize = 64 }, checkpoint.Config.Quantization);
    }

    [Theory]
    [InlineData(Layer + ".qzeros")]
    [InlineData(Layer + ".scales")]
    [InlineData(Layer + ".qweight")]
    public void Open_GivenATensorOfAnotherShape_ShouldNameIt(string tensor)
    {
        string folder = _folder.CopyOf(Golden, "changed");
        CheckpointEdit.Replace(folder, tensor, (writer, info) => writer.Add(tensor, info.Type, [info.Shape[0], info.Shape[1] - 1], stream => stream.Write(new byte[info.Shape[0] * (info.Shape[1] - 1) * info.Type.Size()])));
        AssertRefused(folder, tensor);
    }

    [Fact]
    public void ReadLayer_GivenAScaleThatIsNaN_ShouldNameTheTensor()
    {
        string folder = _folder.CopyOf(Golden, "changed");
        float[] scales = new float[256];
        scales[9] = float.NaN;
        CheckpointEdit.Replace(folder, Layer + ".scales", (writer, _) => writer.AddFloats(Layer + ".scales", scales, [2, 128], SafetensorsType.F32));
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        Assert.Contains(Layer + ".scales", Assert.Throws<UserErrorException>(() => checkpoint.GetWeight(Layer)).Message, StringComparison.Ordinal);
    }

    private static void AssertRefused(string folder, string named) => Assert.Contains(
        named, Assert.Throws<UserErrorException>(() => HuggingFaceCheckpoint.Open(folder).Dispose()).Message, StringComparison.Ordinal);
}
