using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("models/llama-mha--lora", "models/lora/llama-mha--lora/adapter_model.safetensors")]
    [InlineData("models/llama3-gqa", "models/llama3-gqa/model.safetensors")]
    [InlineData("gptq reference", "quantization/checkpoints/gptq_b4_g64_sym/reference.safetensors")]
    public void Write_GivenTheTensorsOfAReferenceFile_ShouldGiveItsBytes(string what, string path)
    {
        string original = RepositoryPaths.Fixture(path.Split('/'));
        using SafetensorsFile file = SafetensorsFile.Open(original);
        SafetensorsWriter writer = new();
        writer.Metadata.Clear();
        foreach ((string key, string value) in file.Metadata)
        {
            writer.Metadata.Add(key, value);
        }

        foreach (string name in file.Names.Reverse())
        {
            SafetensorsInfo info = file.Info(name);
            if (info.Type.ToDataType() is null)
            {
                writer.AddBytes(name, info.Type, file.ReadBytes(name), [.. info.Shape]);
            }
            else
            {
                writer.Add(name, file.GetTensor(name));
            }
        }

        writer.Write(_folder["copy.safetensors"]);
        Assert.True(File.ReadAllBytes(original).AsSpan().SequenceEqual(File.ReadAllBytes(_folder["copy.safetensors"])), what);
    }

    [Fact]
    public void Add_GivenAnotherType_ShouldRoundToNearest()
    {
        float[] values = [1f, 1.00390625f, -0.1f, 65504f, 1e-8f];
        Tensor tensor = Tensor.From(values, new(5));
        SafetensorsWriter writer = new();
        writer.Add("brain", tensor, SafetensorsType.BF16);
        writer.Add("half", tensor, SafetensorsType.F16);
        writer.AddFloats("span", values, [5], SafetensorsType.BF16);
        writer.Write(_folder["a.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["a.safetensors"]);
        writer = new SafetensorsWriter();
        writer.Add("wide", file.GetTensor("half"), SafetensorsType.F32);
        writer.Write(_folder["b.safetensors"]);
        using SafetensorsFile wide = SafetensorsFile.Open(_folder["b.safetensors"]);

        Assert.Equal(values.Select(BFloat16.Round), file.GetTensor("brain").ToArray());
        Assert.Equal(values.Select(BFloat16.Round), file.GetTensor("span").ToArray());
        Assert.Equal(values.Select(value => (float)(Half)value), file.GetTensor("half").ToArray());
        Assert.Equal(file.GetTensor("half").ToArray(), wide.GetTensor("wide").ToArray());
    }

    [Fact]
    public void Add_GivenAValueBeyondFloat16_ShouldRefuseItAndWriteNothing()
    {
        SafetensorsWriter writer = new();
        writer.Add("large", Tensor.From([70000f], new(1)), SafetensorsType.F16);
        UserErrorException error = Assert.Throws<UserErrorException>(() => writer.Write(_folder["a.safetensors"]));
        Assert.Contains("\"large\"", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Write_GivenManyPieces_ShouldKeepTheirOrder()
    {
        float[] values = [.. Enumerable.Range(0, 700_001).Select(i => (float)i)];
        SafetensorsWriter writer = new();
        writer.Add("same", Tensor.From(values, new(values.Length)));
        writer.Add("rounded", Tensor.From(values, new(values.Length)), SafetensorsType.BF16);
        writer.Write(_folder["a.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["a.safetensors"]);

        Assert.Equal(values, file.ReadFloats("same"));
        Assert.Equal(values.Select(BFloat16.Round), file.ReadFloats("rounded"));
    }

    [Fact]
    public void Write_GivenTheWrongNumberOfBytes_ShouldFailAndWriteNothing()
    {
        SafetensorsWriter writer = new();
        writer.Add("short", SafetensorsType.F32, [2], stream => stream.Write(new byte[4]));
        Assert.Throws<InvalidOperationException>(() => writer.Write(_folder["a.safetensors"]));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Add_GivenANameTwice_ShouldRefuseIt()
    {
        SafetensorsWriter writer = new();
        writer.AddInts("a", new[] { 1 }, [1]);
        Assert.Throws<ArgumentException>(() => writer.AddInts("a", new[] { 1 }, [1]));
        Assert.Throws<ArgumentException>(() => writer.AddInts("__metadata__", new[] { 1 }, [1]));
        Assert.Throws<ArgumentException>(() => writer.AddInts("b", new[] { 1 }, [2]));
    }
}
