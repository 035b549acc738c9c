"""The lab's database: tables, migrations and one repository each; imports nothing of ours."""
