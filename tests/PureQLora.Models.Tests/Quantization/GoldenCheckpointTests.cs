using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Checkpoints that gptqmodel and transformers wrote, opened as models.</summary>
public sealed class GoldenCheckpointTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData("base")]
    [InlineData("gptq_b4_g64_sym")]
    [InlineData("gptq_b4_g64_sym_desc_act")]
    [InlineData("gptq_v2_b4_g64_asym")]
    [InlineData("gptq_b8_g64_sym")]
    [InlineData("awq_gemm_b4")]
    [InlineData("llama_nf4", "bnb")]
    [InlineData("llama_nf4_double", "bnb")]
    public void Forward_GivenAStoredCheckpoint_ShouldMatchTransformers(string name, string folderName = "checkpoints")
    {
        string path = RepositoryPaths.Fixture("quantization", folderName, name);
        path = Directory.Exists(path) ? path : RepositoryPaths.Shared("golden", "quantization", folderName, name);
        using ModelFolder folder = ModelFolder.Open(path);
        GoldenTensors golden = GoldenTensors.Read(Path.Combine(path, "reference.safetensors"));
        using ComputeScope scope = new(_backend);

        Tensor hidden = folder.Model.Forward(scope, ModelInput.Rows(scope, golden.Ints("input_ids"), (int)golden.Shape("input_ids")[1]));

        // The reference dequantises to float32 and computes in float64; 1e-4 is its README's suggestion for float32.
        GoldenTolerances.Near(1e-4, golden.Floats("logits"), folder.Model.Logits(scope, hidden).ToArray(), "logits");
        string[] modules = [.. golden.Names.Where(key => key.EndsWith(".dequantized", StringComparison.Ordinal)).Select(key => key[..^".dequantized".Length])];
        Assert.Equal(name == "base" ? 0 : 2, modules.Length);
        Assert.All(modules, module => Assert.Equal(
            golden.Floats($"{module}.dequantized"), folder.Model.Linears.Single(layer => layer.Name == module).Weight.Quantized!.Dequantize()));
        Assert.All(folder.Model.Linears, layer => Assert.Equal(name != "base", layer.Weight.Quantized is not null));
    }
}
