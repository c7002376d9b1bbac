using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Write_GivenAnOldFile_ShouldReplaceIt()
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");
        AtomicFile.WriteText(_folder["a.txt"], "näw");

        Assert.Equal("näw"u8.ToArray(), File.ReadAllBytes(_folder["a.txt"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Write_GivenMissingFolders_ShouldMakeThem()
    {
        string path = Path.Combine(_folder["x"], "y", "a.bin");
        AtomicFile.WriteBytes(path, new byte[] { 1, 2 });
        Assert.Equal([1, 2], File.ReadAllBytes(path));
    }

    [Fact]
    public void Write_GivenAnExceptionMidway_ShouldKeepTheOldFileAndPassItOn()
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");

        Assert.Throws<OperationCanceledException>(() => AtomicFile.Write(_folder["a.txt"], stream =>
        {
            stream.Write(new byte[100_000]);
            throw new OperationCanceledException();
        }));

        Assert.Equal("old", File.ReadAllText(_folder["a.txt"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5000)]
    public void Write_GivenAFullDisk_ShouldKeepTheOldFileAndSaySo(long capacity)
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");

        UserErrorException error = Assert.Throws<UserErrorException>(() => AtomicFile.Write(
            _folder["a.txt"], stream => stream.Write(new byte[10_000]), stream => new FullDiskStream(stream, capacity)));

        Assert.Contains("a.txt", error.Message, StringComparison.Ordinal);
        Assert.Contains("No space left", error.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(_folder["a.txt"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Write_GivenAFolderOfThatName_ShouldSaySo()
    {
        Directory.CreateDirectory(_folder["taken"]);
        Assert.Throws<UserErrorException>(() => AtomicFile.WriteText(_folder["taken"], "text"));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Write_GivenAFileWhereAFolderShouldBe_ShouldSaySo()
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");
        Assert.Throws<UserErrorException>(() => AtomicFile.WriteText(Path.Combine(_folder["a.txt"], "b.txt"), "text"));
    }
}
