namespace PureQLora.Tools.Tests;

/// <summary>A folder that lives as long as a test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("pureqlora-tools-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>Names of what is in it, sorted.</summary>
    public IEnumerable<string> Entries => Directory.GetFileSystemEntries(Path).Select(entry => System.IO.Path.GetFileName(entry)).Order(StringComparer.Ordinal);

    /// <summary>Writes a text file.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    /// <summary>Copies the files of a folder, without its subfolders.</summary>
    public string CopyOf(string source, string name)
    {
        Directory.CreateDirectory(this[name]);
        foreach (string file in Directory.GetFiles(source))
        {
            File.Copy(file, System.IO.Path.Combine(this[name], System.IO.Path.GetFileName(file)));
        }

        return this[name];
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
